//! Sends requests to the server that works on what they are about, where several share a store.
//!
//! A request about a session goes to the server that holds it; what nobody holds is read here, and is taken here when it is
//! changed. It is sent on once: whoever gets it so and does not have the session (any more) says that it is to be sent again.

use std::cmp::Reverse;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::peers::{ANSWER_MAX_BYTES, FromNode, NODE, Peers};
use crate::http::directory::{DIRECTORY_HEADER, Directory};
use crate::http::error::{BadKind, Problem};
use crate::http::front::Front;
use crate::http::router::PREFIX;
use crate::http::state::Shared;
use crate::nodes::Placement;
use crate::opencode::SessionId;
use crate::session::{Place, is_directory};
use crate::store::shared::{Owner, SeenNode};

/// Lists of what goes on, of which each server has a part.
const OF_ALL: [&str; 6] = [
    "/session/status",
    "/permission",
    "/question",
    "/api/session/active",
    "/api/permission/request",
    "/api/question/request",
];
/// Where sessions are made.
const MADE: [&str; 2] = ["/session", "/api/session"];
/// What servers ask each other.
pub(super) const ASKS: &str = "/opencode/node/asks";
pub(super) const GROWTH: &str = "/opencode/node/growth";
pub(super) const DIRECTORY: &str = "/opencode/node/directory";

/// Middleware: notes whether another server has sent the request.
pub async fn recognise(State(state): State<Shared>, mut request: Request, next: Next) -> Response {
    let header = request.headers_mut().remove(NODE);
    if let (Some(header), Some(peers)) = (header, &state.peers)
        && peers.know(&header)
    {
        request.extensions_mut().insert(FromNode);
        // It has been signed in, and judged by the name that it was asked by, where it has arrived.
        request.extensions_mut().insert(Front::default());
    }
    next.run(request).await
}

/// Middleware: sends a request on that is for another server.
pub async fn route(State(state): State<Shared>, request: Request, next: Next) -> Response {
    let Some(peers) = &state.peers else {
        return next.run(request).await;
    };
    let way = Way {
        state: &state,
        peers,
        is_sent_on: request.extensions().get::<FromNode>().is_some(),
    };
    match way.go(request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// What a request is about, as far as the servers differ in it.
enum About {
    Session(SessionId),
    /// A permission request or a question.
    Ask(String),
    /// All of them.
    All,
    /// A new session.
    New,
    /// Nothing of which one of them has more than another.
    Nothing,
}

struct Way<'a> {
    state: &'a Shared,
    peers: &'a Peers,
    is_sent_on: bool,
}

impl Way<'_> {
    async fn go(&self, request: Request, next: Next) -> Result<Response, Problem> {
        let (mut parts, body) = request.into_parts();
        let about = about(&mut parts, self.state).await;
        let directory = match about {
            About::New => Directory::from_request_parts(&mut parts, self.state)
                .await
                .ok(),
            _ => None,
        };
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let request = Request::from_parts(parts, body);
        match about {
            About::Session(id) => self.to_session(&id, is_read, request, next).await,
            About::Ask(id) if !self.is_sent_on => self.to_ask(&id, request, next).await,
            About::All if !self.is_sent_on && is_read => self.of_all(request, next).await,
            About::New if !self.is_sent_on => match directory {
                Some(Directory(directory)) => self.to_new(&directory, request, next).await,
                // The handler says what is wrong with it.
                None => Ok(next.run(request).await),
            },
            _ => Ok(next.run(request).await),
        }
    }

    async fn to_session(
        &self,
        id: &SessionId,
        is_read: bool,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let sessions = &self.state.sessions;
        let place = match is_read {
            true => sessions.place_to_read(id).await?,
            false => sessions.place_to_change(id).await?,
        };
        match place {
            Place::Here => Ok(next.run(request).await),
            _ if self.is_sent_on => Err(Problem::not_now(&format_args!(
                "session {id} has just gone to another node: send the request again"
            ))),
            Place::Elsewhere(owner) => self.to_owner(&owner, request).await,
            Place::Anywhere(directory) => {
                let able = self.able(&directory).await?;
                let Some(other) = able.first() else {
                    return Err(self.lacks(&directory, &able).await);
                };
                self.peers.send_on(&other.node.url, request).await
            }
        }
    }

    /// A prompt may take as long as it likes, but not longer than its node lives: one that is suspended takes requests, and
    /// answers none.
    async fn to_owner(&self, owner: &Owner, request: Request) -> Result<Response, Problem> {
        tokio::select! {
            answer = self.peers.send_on(&owner.url, request) => answer,
            () = self.state.sessions.nodes().is_gone(&owner.id) => Err(Problem::not_now(&format_args!(
                "the node {}, which had the session, is gone; another one goes on with it. Whether the request was carried out \
                 is not known",
                owner.url
            ))),
        }
    }

    /// A request or a question is where its session is worked on.
    async fn to_ask(&self, id: &str, request: Request, next: Next) -> Result<Response, Problem> {
        if !self.state.sessions.asks_now().iter().any(|ask| ask == id) {
            for other in self.state.sessions.nodes().others().await? {
                let path = PathAndQuery::from_static(ASKS);
                let asked = self.peers.ask(&other.node.url, &path, HeaderMap::new());
                let has = |asks: Value| asks.as_array().is_some_and(|a| a.iter().any(|a| a == id));
                if asked.await.is_ok_and(has) {
                    return self.peers.send_on(&other.node.url, request).await;
                }
            }
        }
        Ok(next.run(request).await)
    }

    /// What all servers have of a list.
    async fn of_all(&self, request: Request, next: Next) -> Result<Response, Problem> {
        let path = request.uri().path_and_query().cloned();
        let mut headers = HeaderMap::new();
        if let Some(directory) = request.headers().get(DIRECTORY_HEADER) {
            headers.insert(DIRECTORY_HEADER, directory.clone());
        }
        let own = next.run(request).await;
        if own.status() != StatusCode::OK {
            return Ok(own);
        }
        let (parts, body) = own.into_parts();
        let unforeseen = |error: &dyn std::fmt::Display| Problem::unforeseen(error);
        let body = to_bytes(body, ANSWER_MAX_BYTES).await;
        let body = body.map_err(|error| unforeseen(&error))?;
        let mut all: Value = serde_json::from_slice(&body).map_err(|error| unforeseen(&error))?;
        for other in self.state.sessions.nodes().others().await? {
            let Some(path) = &path else { continue };
            match self.peers.ask(&other.node.url, path, headers.clone()).await {
                Ok(more) => merge(&mut all, more),
                Err(_) => tracing::warn!(node = other.node.id, "a list is without what a node has"),
            }
        }
        let mut response = Response::from_parts(parts, Body::from(crate::json::text(&all)));
        response
            .headers_mut()
            .remove(axum::http::header::CONTENT_LENGTH);
        Ok(response)
    }

    async fn to_new(
        &self,
        directory: &str,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let nodes = self.state.sessions.nodes();
        let spreads = nodes
            .settings()
            .is_some_and(|settings| settings.placement == Placement::Spread);
        let is_here = !nodes.drains() && is_directory(directory.to_owned()).await;
        if is_here && !spreads {
            return Ok(next.run(request).await);
        }
        let able = self.able(directory).await?;
        let own_turns = self.state.sessions.load().turns;
        match able.first() {
            // The one that was asked, unless another has less to do.
            Some(other) if !is_here || turns(other) < own_turns => {
                match spreads || nodes.drains() {
                    true => self.peers.send_on(&other.node.url, request).await,
                    false => Err(self.lacks(directory, &able).await),
                }
            }
            _ if is_here => Ok(next.run(request).await),
            _ => Err(self.lacks(directory, &able).await),
        }
    }

    /// The others that take new work and have a directory, those with the least to do first.
    async fn able(&self, directory: &str) -> Result<Vec<SeenNode>, Problem> {
        let encoded =
            percent_encoding::utf8_percent_encode(directory, percent_encoding::NON_ALPHANUMERIC);
        let path: PathAndQuery = format!("{DIRECTORY}?directory={encoded}")
            .parse()
            .map_err(|error| Problem::unforeseen(&error))?;
        let mut able = Vec::new();
        for other in self.state.sessions.nodes().others().await? {
            let asked = self.peers.ask(&other.node.url, &path, HeaderMap::new());
            if !other.node.drains && asked.await.is_ok_and(|has| has == true) {
                able.push(other);
            }
        }
        able.sort_by_key(|other| (turns(other), Reverse(other.alive)));
        Ok(able)
    }

    async fn lacks(&self, directory: &str, able: &[SeenNode]) -> Problem {
        let nodes = self.state.sessions.nodes();
        let able: Vec<_> = able.iter().map(|other| other.node.url.as_str()).collect();
        let others = match able.is_empty() {
            true => "no other node that is alive and takes work has it".to_owned(),
            false => format!("these have it: {}", able.join(", ")),
        };
        if nodes.drains() {
            return Problem::not_now(&format_args!(
                "This node takes no new work, and for \"{directory}\" {others}"
            ));
        }
        let message = format!("This node does not have the directory \"{directory}\"; {others}");
        Problem::bad_at(BadKind::Query, "directory", message)
    }
}

/// How many turns a server is at, by what it says.
fn turns(node: &SeenNode) -> u64 {
    let load: Value = serde_json::from_str(&node.node.load).unwrap_or_default();
    load.get("turns").and_then(Value::as_u64).unwrap_or(0)
}

fn merge(all: &mut Value, more: Value) {
    match (all, more) {
        (Value::Array(all), Value::Array(more)) => all.extend(more),
        (Value::Object(all), Value::Object(more)) => {
            for (key, more) in more {
                match all.get_mut(&key) {
                    Some(known) => merge(known, more),
                    None => drop(all.insert(key, more)),
                }
            }
        }
        _ => {}
    }
}

async fn about(parts: &mut axum::http::request::Parts, state: &Shared) -> About {
    let params = RawPathParams::from_request_parts(parts, state).await.ok();
    let param = |name: &str| {
        let found = params.iter().flat_map(|params| params.iter());
        let mut found = found.filter(|(key, _)| *key == name);
        found.next().map(|(_, value)| value.to_owned())
    };
    if let Some(id) = param("sessionID") {
        return SessionId::parse(&id).map_or(About::Nothing, About::Session);
    }
    if let Some(id) = param("requestID") {
        return About::Ask(id);
    }
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map(MatchedPath::as_str).unwrap_or_default();
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    match path {
        path if OF_ALL.contains(&path) => About::All,
        path if MADE.contains(&path) && parts.method == Method::POST => About::New,
        _ => About::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_several_servers_become_one() {
        let mut all = json!({"data": {"a": 1}, "list": [1]});
        merge(
            &mut all,
            json!({"data": {"b": 2}, "list": [2], "more": true}),
        );
        assert_eq!(
            all,
            json!({"data": {"a": 1, "b": 2}, "list": [1, 2], "more": true})
        );
        let mut all = json!([1]);
        merge(&mut all, json!([2]));
        assert_eq!(all, json!([1, 2]));
    }
}
