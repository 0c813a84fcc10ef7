//! A PostgreSQL database as one end of a copy.

use super::end::written;
use super::table::{Kind, PAGE_ROWS, Page, Table, Value, rows_in_page};
use super::{NOTE, Note};
use crate::store::StoreError;
use crate::store::postgres::StoreUrl;
use crate::store::postgres::whole::{Column, Whole};

/// See the module. No server uses the database as long as this lives.
pub(super) struct PostgresEnd(Whole);

impl PostgresEnd {
    pub(super) async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        Whole::open(url).await.map(Self)
    }

    pub(super) async fn page(
        &mut self,
        table: &Table,
        after: Option<&[Value]>,
    ) -> Result<Page, StoreError> {
        let key = table.key().join(", ");
        let mut condition = match table.name {
            "setting" => format!("name <> '{NOTE}'"),
            _ => "true".to_owned(),
        };
        if after.is_some() {
            let places: Vec<_> = (1..=table.key).map(|at| format!("${at}")).collect();
            condition = format!("{condition} AND ({key}) > ({})", places.join(", "));
        }
        let from = match table.name {
            "session" => "baton.session LEFT JOIN baton.session_body USING (n)".to_owned(),
            other => format!("baton.{other}"),
        };
        let rest = format!("FROM {from} WHERE {condition} ORDER BY {key} LIMIT");
        let after: Vec<Column> = after
            .into_iter()
            .flatten()
            .zip(table.columns)
            .map(|(value, (_, kind))| of_value(value, *kind))
            .collect();
        let bytes = format!("SELECT coalesce(octet_length(body), 0)::bigint {rest} {PAGE_ROWS}");
        let bytes = self.0.integers(&bytes, &after).await?;
        let limit = rows_in_page(bytes.into_iter());
        let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let select = format!("SELECT {} {rest} {limit}", columns.join(", "));
        let kinds: Vec<Column> = table
            .columns
            .iter()
            .map(|(_, kind)| none_of(*kind))
            .collect();
        let rows = self.0.rows(&select, &after, &kinds).await?;
        let rows = rows
            .into_iter()
            .map(|row| row.into_iter().map(to_value).collect());
        Ok(Page {
            rows: rows.collect(),
        })
    }

    pub(super) async fn write(
        &mut self,
        table: &Table,
        page: &Page,
        note: &Note,
    ) -> Result<(), StoreError> {
        let rows = page.rows.iter().map(|row| {
            let row = row.iter().zip(table.columns);
            row.map(|(value, (_, kind))| of_value(value, *kind))
                .collect()
        });
        self.0
            .insert(table.name, rows.collect(), (NOTE, &written(note)?))
            .await
    }

    pub(super) async fn note(&mut self) -> Result<Option<String>, StoreError> {
        self.0.setting(NOTE).await
    }

    pub(super) async fn finish(&mut self) -> Result<(), StoreError> {
        self.0.finish(NOTE).await
    }
}

/// A value as a column of this database has it.
fn of_value(value: &Value, kind: Kind) -> Column {
    match (value, kind) {
        (Value::Integer(number), Kind::Boolean) => Column::Boolean(Some(*number != 0)),
        (Value::Integer(number), _) => Column::Integer(Some(*number)),
        (Value::Text(text), Kind::Body) => Column::Body(Some(text.clone())),
        (Value::Text(text), _) => Column::Text(Some(text.clone())),
        (Value::Null(()), kind) => none_of(kind),
    }
}

fn none_of(kind: Kind) -> Column {
    match kind {
        Kind::Integer => Column::Integer(None),
        Kind::Boolean => Column::Boolean(None),
        Kind::Text => Column::Text(None),
        Kind::Body => Column::Body(None),
    }
}

fn to_value(column: Column) -> Value {
    match column {
        Column::Integer(Some(number)) => Value::Integer(number),
        Column::Boolean(Some(yes)) => Value::Integer(yes.into()),
        Column::Text(Some(text)) | Column::Body(Some(text)) => Value::Text(text),
        _ => Value::Null(()),
    }
}
