//! What a copy of a whole database needs of this one: its rows as they are, read and written in great numbers.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::changes::{Parameter, Place, Statement, native_session};
use super::connection::{Link, Times};
use super::grams;
use super::session::{Others, Session};
use super::text::{body, escaped, unescaped};
use super::url::StoreUrl;
use super::writer::{Refused, execute};
use crate::store::StoreError;

/// What a copy is called among servers.
const COPY: &str = "copy";
/// How long a statement may take: nobody waits for it but who has asked for the copy.
const STATEMENT: Duration = Duration::from_secs(3_600);

const SESSION: &str = "WITH made AS (
    INSERT INTO baton.session (n, id, project, directory, path, parent, title, created, updated, archived, restoring)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
), body AS (
    INSERT INTO baton.session_body (n, revision, body) VALUES ($1, $12, $13)
) INSERT INTO baton.session_title (n, grams) VALUES ($1, $14)";
const MESSAGE: &str = "INSERT INTO baton.message (session, seq, turn, id, open, body) VALUES ($1, $2, $3, $4, $5, $6)";
const PART: &str =
    "INSERT INTO baton.part (session, message, place, id, body) VALUES ($1, $2, $3, $4, $5)";
const GROWTH: &str =
    "INSERT INTO baton.growth (session, message, place, at, body) VALUES ($1, $2, $3, $4, $5)";
const BINDING: &str =
    "INSERT INTO baton.binding (session, backend, body, native) VALUES ($1, $2, $3, $4)";
const SWITCH: &str = "INSERT INTO baton.switch (session, revision, body) VALUES ($1, $2, $3)";
const HANDOVER: &str =
    "INSERT INTO baton.handover (session, turn, revision, body) VALUES ($1, $2, $3, $4)";
const BACKEND: &str = "INSERT INTO baton.backend (id, body) VALUES ($1, $2)";
const SETTING: &str = "INSERT INTO baton.setting (name, body) VALUES ($1, $2)";
const PROJECT: &str = "INSERT INTO baton.project (id, body) VALUES ($1, $2)";
const NOTE: &str = "INSERT INTO baton.setting (name, body) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET body = excluded.body";

/// A value of a column, plain: as whoever copies it knows it.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    Integer(Option<i64>),
    Boolean(Option<bool>),
    /// What is compared.
    Text(Option<String>),
    /// What is not.
    Body(Option<String>),
}

impl Column {
    /// As the database takes it.
    fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Integer(number) => Box::new(*number),
            Self::Boolean(yes) => Box::new(*yes),
            Self::Text(text) => Box::new(text.as_deref().map(escaped)),
            Self::Body(text) => Box::new(text.as_deref().map(str::as_bytes)),
        }
    }

    /// Another value of the same kind, from a row.
    fn read(&self, row: &Row, at: usize) -> Result<Self, StoreError> {
        Ok(match self {
            Self::Integer(_) => Self::Integer(row.try_get(at)?),
            Self::Boolean(_) => Self::Boolean(row.try_get(at)?),
            Self::Text(_) => Self::Text(row.try_get::<_, Option<String>>(at)?.map(unescaped)),
            Self::Body(_) => {
                let bytes: Option<Vec<u8>> = row.try_get(at)?;
                Self::Body(bytes.map(body).transpose()?)
            }
        })
    }
}

/// A database that no server uses as long as this lives.
pub(crate) struct Whole(Session);

impl Whole {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// When the database cannot be used, or a server uses it.
    pub(crate) async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        let times = Times {
            statement: STATEMENT,
            ..Times::default()
        };
        let link = Link::new(url, times)?;
        let place = Place {
            node: COPY.to_owned(),
            home: String::new(),
        };
        Session::open(link, Others::None, place).await.map(Self)
    }

    async fn query(&mut self, sql: &str, values: &[Column]) -> Result<Vec<Row>, StoreError> {
        let values: Vec<_> = values.iter().map(Column::parameter).collect();
        let values: Vec<_> = values
            .iter()
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect();
        let client = self.0.client().await?;
        Ok(client.query(sql, &values).await?)
    }

    /// The numbers that a statement answers.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn integers(
        &mut self,
        sql: &str,
        values: &[Column],
    ) -> Result<Vec<i64>, StoreError> {
        let rows = self.query(sql, values).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The rows that a statement answers, with columns of these kinds.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn rows(
        &mut self,
        sql: &str,
        values: &[Column],
        kinds: &[Column],
    ) -> Result<Vec<Vec<Column>>, StoreError> {
        let rows = self.query(sql, values).await?;
        let read = |row: &Row| {
            kinds
                .iter()
                .enumerate()
                .map(|(at, kind)| kind.read(row, at))
                .collect()
        };
        rows.iter().map(read).collect()
    }

    /// Writes rows into a table, and a setting beside them.
    ///
    /// # Errors
    /// When the database fails; then none of it is there.
    pub(crate) async fn insert(
        &mut self,
        table: &str,
        rows: Vec<Vec<Column>>,
        (name, note): (&str, &str),
    ) -> Result<(), StoreError> {
        let mut all: Vec<_> = rows.iter().map(|row| insert_one(table, row)).collect();
        all.push(Statement {
            sql: NOTE,
            parameters: vec![Box::new(name), Box::new(note.as_bytes())],
            unless: None,
        });
        let client = self.0.client().await?;
        let written = match execute(client, "BEGIN", &all).await {
            Ok(()) => client
                .batch_execute("COMMIT")
                .await
                .map_err(Refused::Server),
            Err(refused) => Err(refused),
        };
        written.map_err(|refused| {
            // It ends with its connection.
            self.0.lose();
            refused.into()
        })
    }

    /// A setting.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn setting(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let name = Column::Text(Some(name.to_owned()));
        let sql = "SELECT body FROM baton.setting WHERE name = $1";
        let row = self.query(sql, &[name]).await?.pop();
        row.map(|row| body(row.try_get(0)?)).transpose()
    }

    /// Forgets a setting, has new sessions numbered after those that were written, and has the database look at what
    /// there is, so that it plans well from the first query on.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn finish(&mut self, name: &str) -> Result<(), StoreError> {
        const COUNT_ON: &str = "SELECT setval(pg_get_serial_sequence('baton.session', 'n'),
            greatest((SELECT max(n) FROM baton.session), 1), EXISTS (SELECT FROM baton.session))";
        let name = Column::Text(Some(name.to_owned()));
        self.query(COUNT_ON, &[]).await?;
        let client: &mut ClientWrapper = self.0.client().await?;
        for table in [
            "session",
            "session_body",
            "session_title",
            "message",
            "part",
            "binding",
            "switch",
        ] {
            client
                .batch_execute(&format!("ANALYZE baton.{table}"))
                .await?;
        }
        self.query("DELETE FROM baton.setting WHERE name = $1", &[name])
            .await?;
        Ok(())
    }
}

/// What writes a row, with what is derived from it.
fn insert_one<'a>(table: &str, row: &'a [Column]) -> Statement<'a> {
    let mut parameters: Vec<Parameter<'a>> = row.iter().map(Column::parameter).collect();
    let sql = match table {
        "session" => {
            let title = match row.get(6) {
                Some(Column::Text(Some(title))) => title.as_str(),
                _ => "",
            };
            parameters.push(Box::new(grams::of_title(title)));
            SESSION
        }
        "binding" => {
            let native = match row.get(2) {
                Some(Column::Body(Some(body))) => native_session(body),
                _ => None,
            };
            parameters.push(Box::new(native.map(|native| escaped(&native).into_owned())));
            BINDING
        }
        "message" => MESSAGE,
        "part" => PART,
        "growth" => GROWTH,
        "switch" => SWITCH,
        "handover" => HANDOVER,
        "backend" => BACKEND,
        "project" => PROJECT,
        _ => SETTING,
    };
    Statement {
        sql,
        parameters,
        unless: None,
    }
}
