//! The OpenAPI 3.1 document, generated from the routes, and its own route.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa::OpenApi;
use utoipa::openapi::Components;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::problem::{FieldErrorView, ProblemView};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Oubli",
        version = env!("CARGO_PKG_VERSION"),
        description = "The GDPR rights of the people in a company's contact base.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemView, FieldErrorView)),
    tags(
        (name = "members", description = "The people who work for the tenant"),
        (name = "groups", description = "Security groups and the rights that they give"),
        (name = "contacts", description = "What the tenant holds about its clients"),
        (name = "documents", description = "Files attached to a contact"),
        (name = "data actions", description = "Runs over one contact or many"),
        (name = "archives", description = "The ZIP of one contact: made here, saved elsewhere, brought back"),
        (name = "audit", description = "Who was given a link to what, and which archives are gone"),
        (name = "problems", description = "What refusals mean"),
        (name = "deployment", description = "The API itself")
    )
)]
struct Base;

/// The document without its routes.
pub(crate) fn base() -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "A token of the tenant's issuer for the audience `oubli-staff`",
        ))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme("staff_token", SecurityScheme::Http(token));
    document
}

static DOCUMENT: LazyLock<Result<Bytes, serde_json::Error>> =
    LazyLock::new(|| serde_json::to_vec(&crate::openapi()).map(Bytes::from));

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "get_openapi", tag = "deployment",
    responses((status = 200, description = "OpenAPI 3.1", body = inline(serde_json::Value))))]
pub async fn get() -> Response {
    match &*DOCUMENT {
        Ok(document) => ([(CONTENT_TYPE, "application/json")], document.clone()).into_response(),
        Err(error) => crate::problem::Problem::internal(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let of_path = |(path, item): (&String, &Value)| {
            let operations = item.as_object().unwrap().iter();
            operations
                .map(|(method, operation)| (path.clone(), method.clone(), operation.clone()))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// `UPDATE_OPENAPI=1 cargo test -p oubli-api openapi` rewrites the file.
    #[test]
    fn the_committed_document_is_that_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let mut generated = serde_json::to_string_pretty(&crate::openapi()).unwrap();
        generated.push('\n');
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "docs/openapi.json is not what the code says: run with UPDATE_OPENAPI=1"
        );
    }

    #[test]
    fn every_operation_says_who_may_call_it_and_how_it_refuses() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut ids = BTreeSet::new();
        let operations = operations(&document);
        assert!(!operations.is_empty());
        for (path, method, operation) in operations {
            let name = format!("{method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{name}"
            );
            assert!(operation["summary"].is_string(), "{name}");
            let told: &[&str] = match path.as_str() {
                "/v1/health" | "/v1/openapi.json" | "/problems" => &[],
                "/problems/{code}" => &["400", "500"],
                "/v1/archive-keys" => &["500", "503"],
                _ => &["400", "401", "403", "500", "503"],
            };
            assert_eq!(operation["security"].is_array(), told.len() == 5, "{name}");
            let responses = operation["responses"].as_object().unwrap();
            for status in ["400", "401", "403", "500", "503"] {
                assert_eq!(
                    responses.contains_key(status),
                    told.contains(&status),
                    "{name} {status}"
                );
            }
            if operation["requestBody"].is_object() {
                assert!(
                    ["413", "415", "422"]
                        .iter()
                        .all(|status| responses.contains_key(*status)),
                    "{name}"
                );
            }
            let templated = path.matches('{').count();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            assert_eq!(
                parameters
                    .iter()
                    .filter(|parameter| parameter["in"] == "path")
                    .count(),
                templated,
                "{name}"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, document: &Value) {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(
                    document.pointer(reference.trim_start_matches('#')).is_some(),
                    "{reference}"
                );
            }
            match value {
                Value::Object(members) => members.values().for_each(|value| walk(value, document)),
                Value::Array(values) => values.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        let document = serde_json::to_value(crate::openapi()).unwrap();
        walk(&document, &document);
    }
}
