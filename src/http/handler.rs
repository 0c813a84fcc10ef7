//! What handlers are made of: what they take from a request, and what they can answer. Each has
//! `use crate::http::handler::*;`.

pub(super) use axum::Json;
pub(super) use axum::extract::State;
pub(super) use serde::{Deserialize, Serialize};
pub(super) use utoipa::{IntoParams, ToSchema};

pub(super) use super::error::Problem;
pub(super) use super::extract::{
    Body, Client, Directory, IfMatch, MessagePath, Params, PartPath, PathName, PermissionPath,
    QuestionPath, SessionPath, SessionPermissionPath, V2PermissionPath, V2QuestionPath,
};
pub(super) use super::responses::*;
pub(super) use super::state::Shared;
