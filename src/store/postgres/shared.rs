//! What several servers on one database share: who they are, who works on a session, and what has happened.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_postgres::AsyncMessage;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::connection::Link;
use super::reads::{rows, session_id};
use super::text::{body, escaped, integer, natural, unescaped};
use crate::opencode::SessionId;
use crate::store::StoreError;
use crate::store::shared::{
    Claim, EventHead, EventsKept, Node, Owner, SeenNode, SharedStore, StoredEvent,
};

/// A connection that hears of events is made again after this time.
const LISTEN_AGAIN: Duration = Duration::from_millis(250);

const FIRST_BEAT: &str = "INSERT INTO baton.node (id, run, url, version, started, until, drains, load)
    VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + $5 * interval '1 millisecond', $6, $7)
    ON CONFLICT (id) DO UPDATE SET run = excluded.run, url = excluded.url, version = excluded.version,
        started = excluded.started, until = excluded.until, drains = excluded.drains, load = excluded.load";

const BEAT: &str = "UPDATE baton.node SET url = $3, version = $4,
        until = clock_timestamp() + $5 * interval '1 millisecond', drains = $6, load = $7
    WHERE id = $1 AND run = $2";

const NODES: &str = "SELECT n.id, n.url, n.version, n.drains, n.load,
        (extract(epoch FROM n.started) * 1000)::bigint,
        (extract(epoch FROM n.until - clock_timestamp()) * 1000)::bigint,
        (SELECT count(*) FROM baton.lease l WHERE l.node = n.id)
    FROM baton.node n ORDER BY n.id";

/// Native sessions of another machine are forgotten with it: what they know of the conversation may be gone from it later.
const CLAIM: &str = "WITH before AS (SELECT true AS had FROM baton.lease WHERE session = $1),
claimed AS (
    INSERT INTO baton.lease AS l (session, node, epoch) VALUES ($1, $2, nextval('baton.epoch'))
    -- A number that was drawn before the row was locked may be older than the one that it has.
    ON CONFLICT (session) DO UPDATE SET node = excluded.node, epoch = nextval('baton.epoch')
    WHERE $4 OR l.node = $2
        OR NOT EXISTS (SELECT FROM baton.node n WHERE n.id = l.node AND n.until > clock_timestamp())
    RETURNING epoch
), foreign_sessions AS (
    DELETE FROM baton.binding b USING claimed WHERE b.session = $1 AND b.home <> $3
)
SELECT epoch, EXISTS (SELECT FROM before) FROM claimed";

const OWNER: &str =
    "SELECT n.id, n.url, n.drains FROM baton.lease l JOIN baton.node n ON n.id = l.node
    WHERE l.session = $1 AND n.until > clock_timestamp()";

const RELEASE: &str =
    "DELETE FROM baton.lease l USING unnest($2::text[], $3::bigint[]) AS held (session, epoch)
    WHERE l.session = held.session AND l.epoch = held.epoch AND l.node = $1";

const TAKEN: &str = "SELECT held.session FROM unnest($2::text[], $3::bigint[]) AS held (session, epoch)
    WHERE NOT EXISTS (
        SELECT FROM baton.lease l WHERE l.session = held.session AND l.epoch = held.epoch AND l.node = $1)";

const ORPHANS: &str = "WITH unfinished AS (
        SELECT DISTINCT session FROM baton.message WHERE open
        UNION SELECT id FROM baton.session WHERE restoring)
    SELECT u.session FROM unfinished u WHERE NOT EXISTS (
        SELECT FROM baton.lease l JOIN baton.node n ON n.id = l.node
        WHERE l.session = u.session AND n.until > clock_timestamp())
    LIMIT $1";

/// Nobody who writes an event is held up.
const PRUNE: &str = "DELETE FROM baton.event WHERE seq <= (SELECT greatest(
    (SELECT max(e.seq) FROM baton.event e WHERE e.at < clock_timestamp() - $1 * interval '1 millisecond'),
    (SELECT seq - $2 FROM baton.event_head),
    (SELECT max(e.seq) FROM (
        SELECT seq, sum(octet_length(body)) OVER (ORDER BY seq DESC) AS bytes FROM baton.event) e
        WHERE e.bytes > $3)))";

const HEAD: &str = "SELECT h.seq, coalesce((SELECT min(e.seq) - 1 FROM baton.event e), h.seq) FROM baton.event_head h";

impl PostgresStore {
    /// Runs a statement whose answer is the number of rows.
    fn run<const N: usize>(
        &self,
        sql: &'static str,
        values: [Box<dyn ToSql + Sync + Send>; N],
    ) -> BoxFuture<'static, Result<u64, StoreError>> {
        let values = Arc::new(values);
        self.read(move |db| {
            let values = Arc::clone(&values);
            async move {
                let values: Vec<_> = values.iter().map(|v| &**v as &(dyn ToSql + Sync)).collect();
                let statement = db.prepare_cached(sql).await?;
                Ok(db.execute(&statement, &values).await?)
            }
            .boxed()
        })
    }

    fn id(&self) -> Box<dyn ToSql + Sync + Send> {
        Box::new(self.place.node.clone())
    }
}

/// Sessions and epochs as the database takes them.
fn columns(held: Vec<(SessionId, u64)>) -> (Vec<String>, Vec<i64>) {
    let pairs = held.into_iter();
    pairs
        .map(|(session, epoch)| (session.to_string(), integer(epoch)))
        .unzip()
}

impl SharedStore for PostgresStore {
    fn beat(
        &self,
        node: Node,
        lease: Duration,
        first: bool,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let lease_ms = lease.as_secs_f64() * 1_000.0;
        let written = self.run(
            if first { FIRST_BEAT } else { BEAT },
            [
                self.id(),
                Box::new(self.run.clone()),
                Box::new(escaped(&node.url).into_owned()),
                Box::new(node.version),
                Box::new(lease_ms),
                Box::new(node.drains),
                Box::new(escaped(&node.load).into_owned()),
            ],
        );
        let id = self.place.node.clone();
        Box::pin(async move {
            match written.await? {
                0 => Err(StoreError::Database(format!(
                    "another server has started as node {id}: two data directories have the same baton-node.json"
                ))),
                _ => Ok(()),
            }
        })
    }

    fn nodes(&self) -> BoxFuture<'static, Result<Vec<SeenNode>, StoreError>> {
        self.read(|db| async move { nodes(db).await }.boxed())
    }

    fn claim(
        &self,
        session: &SessionId,
        by_force: bool,
    ) -> BoxFuture<'static, Result<Claim, StoreError>> {
        let (session, place) = (session.clone(), Arc::clone(&self.place));
        self.read(move |db| {
            let (session, place) = (session.clone(), Arc::clone(&place));
            async move {
                // Its owner may have given it back in between.
                loop {
                    let values: &[&(dyn ToSql + Sync)] =
                        &[&session.as_str(), &place.node, &place.home, &by_force];
                    if let Some(row) = rows(db, CLAIM, values).await?.first() {
                        return Ok(Claim::Held {
                            epoch: natural(row.try_get(0)?),
                            taken_over: row.try_get(1)?,
                        });
                    }
                    if let Some(owner) = owner(db, &session).await? {
                        return Ok(Claim::Elsewhere(owner));
                    }
                }
            }
            .boxed()
        })
    }

    fn owner(&self, session: &SessionId) -> BoxFuture<'static, Result<Option<Owner>, StoreError>> {
        let session = session.clone();
        self.read(move |db| {
            let session = session.clone();
            async move { owner(db, &session).await }.boxed()
        })
    }

    fn release(&self, held: Vec<(SessionId, u64)>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (sessions, epochs) = columns(held);
        let released = self.run(RELEASE, [self.id(), Box::new(sessions), Box::new(epochs)]);
        Box::pin(async move { released.await.map(drop) })
    }

    fn taken(
        &self,
        held: Vec<(SessionId, u64)>,
    ) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        let ((sessions, epochs), node) = (columns(held), self.place.node.clone());
        let values = Arc::new((node, sessions, epochs));
        self.read(move |db| {
            let values = Arc::clone(&values);
            async move {
                let (node, sessions, epochs) = &*values;
                sessions_of(db, TAKEN, &[node, sessions, epochs]).await
            }
            .boxed()
        })
    }

    fn orphans(&self, most: usize) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        let most = integer(most as u64);
        self.read(move |db| async move { sessions_of(db, ORPHANS, &[&most]).await }.boxed())
    }

    fn leave(&self) -> BoxFuture<'static, Result<(), StoreError>> {
        let released = self.run("DELETE FROM baton.lease WHERE node = $1", [self.id()]);
        let left = self.run(
            "UPDATE baton.node SET until = clock_timestamp() WHERE id = $1 AND run = $2",
            [self.id(), Box::new(self.run.clone())],
        );
        Box::pin(async move {
            released.await?;
            left.await.map(drop)
        })
    }

    fn event_head(&self) -> BoxFuture<'static, Result<EventHead, StoreError>> {
        self.read(|db| {
            async move {
                let rows = rows(db, HEAD, &[]).await?;
                let row = rows.first().ok_or_else(|| {
                    StoreError::Database("the head of the events is missing".to_owned())
                })?;
                Ok(EventHead {
                    seq: natural(row.try_get(0)?),
                    pruned: natural(row.try_get(1)?),
                })
            }
            .boxed()
        })
    }

    fn events(
        &self,
        after: u64,
        most: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>> {
        let (after, most) = (integer(after), integer(most as u64));
        self.read(move |db| async move { events(db, after, most).await }.boxed())
    }

    fn prune_events(&self, kept: EventsKept) -> BoxFuture<'static, Result<(), StoreError>> {
        let older_ms = kept.time.as_secs_f64() * 1_000.0;
        let (events, bytes) = (integer(kept.events), integer(kept.bytes));
        let pruned = self.run(
            PRUNE,
            [Box::new(older_ms), Box::new(events), Box::new(bytes)],
        );
        Box::pin(async move { pruned.await.map(drop) })
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }
}

async fn nodes(db: &ClientWrapper) -> Result<Vec<SeenNode>, StoreError> {
    let rows = rows(db, NODES, &[]).await?;
    let seen = |row: &tokio_postgres::Row| {
        let left_ms: i64 = row.try_get(6)?;
        Ok(SeenNode {
            node: Node {
                id: row.try_get(0)?,
                url: unescaped(row.try_get(1)?),
                version: row.try_get(2)?,
                drains: row.try_get(3)?,
                load: unescaped(row.try_get(4)?),
            },
            started_ms: natural(row.try_get(5)?),
            alive: (left_ms > 0).then(|| Duration::from_millis(natural(left_ms))),
            leases: natural(row.try_get(7)?),
        })
    };
    rows.iter().map(seen).collect()
}

async fn owner(db: &ClientWrapper, session: &SessionId) -> Result<Option<Owner>, StoreError> {
    let rows = rows(db, OWNER, &[&session.as_str()]).await?;
    let owner = |row: &tokio_postgres::Row| {
        Ok(Owner {
            id: row.try_get(0)?,
            url: unescaped(row.try_get(1)?),
            drains: row.try_get(2)?,
        })
    };
    rows.first().map(owner).transpose()
}

async fn sessions_of(
    db: &ClientWrapper,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<SessionId>, StoreError> {
    let rows = rows(db, sql, values).await?;
    rows.iter().map(|row| session_id(row.try_get(0)?)).collect()
}

async fn events(db: &ClientWrapper, after: i64, most: i64) -> Result<Vec<StoredEvent>, StoreError> {
    let sql = "SELECT seq, session, directory, last, body FROM baton.event WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = rows(db, sql, &[&after, &most]).await?;
    let event = |row: &tokio_postgres::Row| {
        Ok(StoredEvent {
            seq: natural(row.try_get(0)?),
            session: row.try_get(1)?,
            directory: unescaped(row.try_get(2)?),
            last: row.try_get(3)?,
            json: body(row.try_get(4)?)?,
        })
    };
    rows.iter().map(event).collect()
}

/// Hears of events as long as it is polled.
pub(super) async fn listen(link: Link, news: watch::Sender<u64>) {
    loop {
        if let Err(error) = link.listen(&news).await {
            tracing::debug!("events are not heard of for a moment: {error}");
        }
        // What was told meanwhile was not heard of.
        news.send_modify(|count| *count += 1);
        sleep(LISTEN_AGAIN).await;
    }
}

impl Link {
    /// Counts what is told, until the connection is lost.
    async fn listen(&self, news: &watch::Sender<u64>) -> Result<(), StoreError> {
        let (client, mut connection) = self.connect_bare().await?;
        let heard = async {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => {
                        news.send_modify(|count| *count += 1);
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(StoreError::from(error)),
                    None => return Ok(()),
                }
            }
        };
        let listening = async {
            client.batch_execute("LISTEN baton_event").await?;
            news.send_modify(|count| *count += 1);
            // Nothing else is asked on it.
            std::future::pending::<()>().await;
            Ok(())
        };
        tokio::select! {
            heard = heard => heard,
            listening = listening => listening,
        }
    }
}
