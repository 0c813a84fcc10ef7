//! Brings the tables of a database up to date.

use deadpool_postgres::ClientWrapper;

use crate::store::StoreError;

const MIGRATIONS: &[&str] = &[
    include_str!("migrations/001_start.sql"),
    include_str!("migrations/002_nodes.sql"),
];
/// Held while tables are made, so that of several servers that start at once one makes them: "baton" and a 1.
const MIGRATION_LOCK: i64 = 0x6261_746f_6e01;
/// The oldest PostgreSQL that is used, as `server_version_num` has it.
const OLDEST: i32 = 150_000;
/// What there has to be before there are migrations.
const SCHEMA: &str = "CREATE SCHEMA baton";
const VERSION: &str = "CREATE TABLE baton.version (version bigint NOT NULL);
     INSERT INTO baton.version (version) VALUES (0)";

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
    if known(current(client).await?, shown)? == MIGRATIONS.len() {
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
    let row = transaction
        .query_one("SELECT version FROM baton.version", &[])
        .await?;
    let version = known(row.try_get(0)?, shown)?;
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.batch_execute(migration).await?;
    }
    let now = MIGRATIONS.len() as i64;
    transaction
        .execute("UPDATE baton.version SET version = $1", &[&now])
        .await?;
    Ok(transaction.commit().await?)
}

/// The version of the tables; 0 where there are none.
async fn current(client: &ClientWrapper) -> Result<i64, StoreError> {
    let there = client
        .query_one("SELECT to_regclass('baton.version') IS NOT NULL", &[])
        .await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let row = client
        .query_one("SELECT version FROM baton.version", &[])
        .await?;
    Ok(row.try_get(0)?)
}

/// A version, if this Baton knows it.
fn known(version: i64, shown: &str) -> Result<usize, StoreError> {
    let known = usize::try_from(version).ok();
    known.filter(|version| *version <= MIGRATIONS.len()).ok_or_else(|| {
        StoreError::Database(format!(
            "the database {shown} has version {version}, this Baton knows only {}; use a newer Baton or another database",
            MIGRATIONS.len()
        ))
    })
}
