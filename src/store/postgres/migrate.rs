//! Brings the tables of a database up to date.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use crate::store::StoreError;

/// Each with the oldest version that can live with it: servers are upgraded one after the other, and the first that is new
/// changes the tables of all.
const MIGRATIONS: &[(&str, i64)] = &[
    (include_str!("migrations/001_start.sql"), 1),
    (include_str!("migrations/002_nodes.sql"), 2),
    (include_str!("migrations/003_growth.sql"), 2),
];
/// Held while tables are made, so that of several servers that start at once one makes them: "baton" and a 1.
const MIGRATION_LOCK: i64 = 0x6261_746f_6e01;
/// The oldest PostgreSQL that is used, as `server_version_num` has it.
const OLDEST: i32 = 150_000;
/// What there has to be before there are migrations.
const SCHEMA: &str = "CREATE SCHEMA baton";
const VERSION: &str =
    "CREATE TABLE baton.version (version bigint NOT NULL, oldest bigint NOT NULL);
     INSERT INTO baton.version (version, oldest) VALUES (0, 0)";
/// The first version had no second column.
const SELECT_VERSION: &str =
    "SELECT version, coalesce((to_jsonb(v) ->> 'oldest')::bigint, version) FROM baton.version v";

/// Looks whether the server can be used, and runs the migrations that the database lacks, all in one transaction.
///
/// # Errors
/// When the server is too old or has no UTF-8, or the database is newer than this Baton.
pub(super) async fn migrate(client: &mut ClientWrapper, shown: &str) -> Result<(), StoreError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                    current_setting('server_encoding')",
            &[],
        )
        .await?;
    let (number, version, encoding): (i32, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if number < OLDEST {
        return Err(StoreError::Database(format!(
            "{shown} is PostgreSQL {version}; Baton needs {} or newer",
            OLDEST / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(StoreError::Database(format!(
            "the database {shown} has the encoding {encoding}, which does not have every character; make one with ENCODING \
             'UTF8'"
        )));
    }
    if known(current(client).await?, shown)? >= MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    // Another server may be at it, and a migration may write every row anew.
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    let lock = "SELECT pg_advisory_xact_lock($1)";
    transaction.execute(lock, &[&MIGRATION_LOCK]).await?;
    let present = transaction
        .query_one(
            "SELECT to_regnamespace('baton') IS NOT NULL, to_regclass('baton.version') IS NOT NULL",
            &[],
        )
        .await?;
    let (schema, table): (bool, bool) = (present.try_get(0)?, present.try_get(1)?);
    if !schema {
        transaction.batch_execute(SCHEMA).await?;
    }
    if !table {
        transaction.batch_execute(VERSION).await?;
    }
    // Another server may have been faster.
    let row = transaction.query_one(SELECT_VERSION, &[]).await?;
    let version = known(Version::of(&row)?, shown)?;
    for (migration, oldest) in MIGRATIONS.iter().skip(version) {
        transaction.batch_execute(migration).await?;
        let now = "UPDATE baton.version SET version = version + 1, oldest = $1";
        transaction.execute(now, &[oldest]).await?;
    }
    Ok(transaction.commit().await?)
}

/// Which migrations a database has had.
#[derive(Default)]
struct Version {
    /// So many.
    number: i64,
    /// Who knows so many can live with it.
    oldest: i64,
}

impl Version {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.try_get(0)?,
            oldest: row.try_get(1)?,
        })
    }
}

/// The version of the tables; none where there are no tables.
async fn current(client: &ClientWrapper) -> Result<Version, StoreError> {
    let there = client
        .query_one("SELECT to_regclass('baton.version') IS NOT NULL", &[])
        .await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(Version::default());
    }
    Version::of(&client.query_one(SELECT_VERSION, &[]).await?)
}

/// A version, if this Baton can live with it.
fn known(version: Version, shown: &str) -> Result<usize, StoreError> {
    let Version { number, oldest } = version;
    let can = number <= MIGRATIONS.len() as i64 || oldest <= MIGRATIONS.len() as i64;
    let known = usize::try_from(number).ok().filter(|_| can);
    known.ok_or_else(|| {
        StoreError::Database(format!(
            "the database {shown} has version {number}, this Baton knows only {}; use a newer Baton or another database",
            MIGRATIONS.len()
        ))
    })
}
