//! Refusals, and how bodies are read.

use crate::api::ApiError;
use crate::store::{StoreError, StoreErrorClass};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use muster_core::wish::Refusal;
use serde::de::DeserializeOwned;

/// An answer other than 200.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: ApiError,
}

/// What handlers return.
pub(super) type Answer<T> = Result<Json<T>, Refused>;

impl Refused {
    fn new(status: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        let error = ApiError { reason: reason.to_owned(), message: message.into(), field: None };
        Self { status, error }
    }
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }
    /// This process cannot say; another one may.
    pub(super) fn unavailable(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, message)
    }
    /// One input is wrong.
    pub(super) fn input(field: &str, message: impl Into<String>) -> Self {
        let mut refused = Self::new(StatusCode::BAD_REQUEST, "BadInput", message);
        refused.error.field = Some(field.to_owned());
        refused
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.error)).into_response()
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(StatusCode::CONFLICT, &refusal.reason, refusal.message)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let reason = match error.class() {
            StoreErrorClass::Refused => match error {
                StoreError::Refused(refusal) => return refusal.into(),
                other => return Self::new(StatusCode::CONFLICT, "Refused", other.to_string()),
            },
            StoreErrorClass::NotFound => "NotFound",
            StoreErrorClass::Conflict | StoreErrorClass::Busy => "JournalBusy",
            StoreErrorClass::LeaseLost => "NoLease",
            StoreErrorClass::Full => "JournalFull",
            StoreErrorClass::Unknown => "JournalUnknown",
            StoreErrorClass::Broken => "JournalBroken",
        };
        let status =
            if reason == "NotFound" { StatusCode::NOT_FOUND } else { StatusCode::SERVICE_UNAVAILABLE };
        Self::new(status, reason, error.to_string())
    }
}

/// A JSON body; what does not fit is named by its field.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| Refused::input("", format!("the body cannot be read: {error}")))?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        serde_path_to_error::deserialize(&mut json).map(Body).map_err(|error| {
            let (path, inner) = (error.path().to_string(), error.inner().to_string());
            let named = inner.split('`').nth(1).filter(|_| inner.contains("field")).map(str::to_owned);
            let field = match (path.as_str(), named) {
                (".", Some(named)) => named,
                (".", None) => String::new(),
                (path, _) => path.to_owned(),
            };
            Refused::input(&field, inner)
        })
    }
}

/// A query string; what does not fit is said.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => {
                let text = error.body_text();
                let field = text.split('`').nth(1).unwrap_or_default().to_owned();
                Err(Refused::input(&field, text))
            }
        }
    }
}
