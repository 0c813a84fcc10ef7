//! A session as it is told to several: it is written once, for the events and for the answer.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Session;
use crate::json;

/// A session together with its JSON. A clone shares both.
#[derive(Debug, Clone)]
pub struct ToldSession(Arc<Told>);

#[derive(Debug)]
struct Told {
    session: Session,
    json: Box<RawValue>,
}

impl From<Session> for ToldSession {
    fn from(session: Session) -> Self {
        let json = json::raw(&session);
        Self(Arc::new(Told { session, json }))
    }
}

impl Deref for ToldSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0.session
    }
}

impl PartialEq for ToldSession {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Serialize for ToldSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}
