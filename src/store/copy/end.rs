//! The two ends of a copy, whatever they are.

use super::postgres::PostgresEnd;
use super::sqlite::SqliteEnd;
use super::table::{Page, Table};
use super::{CopyError, Note, Place};
use crate::store::StoreError;

/// One end.
pub(super) enum End {
    Sqlite(Box<SqliteEnd>),
    Postgres(Box<PostgresEnd>),
}

impl End {
    /// What is copied. No server may use it meanwhile.
    ///
    /// # Errors
    /// When it is not there, or a server uses it.
    pub(super) async fn source(place: &Place) -> Result<Self, CopyError> {
        if let Place::Directory(path) = place
            && !SqliteEnd::is_there(path)
        {
            return Err(CopyError::Nothing(place.to_string()));
        }
        Self::open(place).await
    }

    /// What is written. It is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be, or a server uses it.
    pub(super) async fn target(place: &Place) -> Result<Self, CopyError> {
        Self::open(place).await
    }

    async fn open(place: &Place) -> Result<Self, CopyError> {
        let failed = |error| CopyError::Store(place.to_string(), error);
        Ok(match place {
            Place::Directory(path) => Self::Sqlite(Box::new(SqliteEnd::open(path)?)),
            Place::Database(url) => {
                Self::Postgres(Box::new(PostgresEnd::open(url).await.map_err(failed)?))
            }
        })
    }

    /// Rows of a table, from behind a key on.
    pub(super) async fn page(
        &mut self,
        table: &'static Table,
        after: Option<&[super::table::Value]>,
    ) -> Result<Page, StoreError> {
        match self {
            Self::Sqlite(end) => end.page(table, after),
            Self::Postgres(end) => end.page(table, after).await,
        }
    }

    /// Writes rows, and how far it has come with them.
    pub(super) async fn write(
        &mut self,
        table: &'static Table,
        page: &Page,
        note: &Note,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(end) => end.write(table, page, note),
            Self::Postgres(end) => end.write(table, page, note).await,
        }
    }

    /// How far an earlier copy has come.
    pub(super) async fn note(&mut self) -> Result<Option<Note>, StoreError> {
        let text = match self {
            Self::Sqlite(end) => end.note()?,
            Self::Postgres(end) => end.note().await?,
        };
        let damaged =
            |error| StoreError::Database(format!("the note of a copy is damaged: {error}"));
        let parse = |text: String| serde_json::from_str(&text).map_err(damaged);
        text.map(parse).transpose()
    }

    /// Everything is there.
    pub(super) async fn finish(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(end) => end.finish(),
            Self::Postgres(end) => end.finish().await,
        }
    }

    /// Lets go of it.
    pub(super) async fn close(self) {
        match self {
            Self::Sqlite(end) => end.close(),
            Self::Postgres(_) => {}
        }
    }
}

/// A note as it is stored.
pub(super) fn written(note: &Note) -> Result<String, StoreError> {
    serde_json::to_string(note).map_err(|error| StoreError::Database(error.to_string()))
}
