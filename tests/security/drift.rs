//! The OpenAPI document, the committed copy of it, the template's routes and the router agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use oubli_local::provision::node::Node;
use oubli_local::provision::template::Template;
use oubli_tests::Stack;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::operations::documented;

type Routes = BTreeSet<(String, String)>;

fn of_code() -> Value {
    serde_json::to_value(oubli_api::openapi()).unwrap()
}

fn routes_of(document: &Value) -> Routes {
    documented(document).into_keys().collect()
}

#[test]
fn the_committed_document_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(routes_of(&committed), routes_of(&of_code()));
    assert!(
        committed == of_code(),
        "run `UPDATE_OPENAPI=1 cargo test -p oubli-api openapi`"
    );
}

#[test]
fn the_gateway_has_exactly_the_routes_of_the_document() {
    let routes: Routes = Template::embedded()
        .unwrap()
        .routes()
        .unwrap()
        .into_iter()
        .map(|route| (route.method, route.path))
        .collect();
    assert_eq!(routes, routes_of(&of_code()));
}

/// A method that no route has makes the router say which ones it knows.
#[tokio::test]
async fn the_router_serves_exactly_the_methods_of_the_document() {
    let stack = Stack::start().await;
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method, path) in routes_of(&of_code()) {
        methods.entry(path).or_default().insert(method);
    }
    for (path, methods) in methods {
        let filled: String = path
            .split('/')
            .map(|segment| if segment.starts_with('{') { "x" } else { segment })
            .collect::<Vec<_>>()
            .join("/");
        let probe = Method::from_bytes(b"BREW").unwrap();
        let answer = stack.nobody().call(probe, &filled, &[], None).await;
        assert_eq!(
            answer.problem(StatusCode::METHOD_NOT_ALLOWED),
            "method_not_allowed",
            "{path}"
        );
        let served: BTreeSet<_> = answer
            .header("allow")
            .unwrap()
            .split(',')
            .map(|method| method.trim().to_owned())
            // Comes with every GET.
            .filter(|method| method != "HEAD")
            .collect();
        assert_eq!(served, methods, "{path}");
        // A slash more is another path, which nobody serves.
        let answer = stack.nobody().get(&format!("{filled}/")).await;
        let expected = if path == "/problems" {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        assert_eq!(answer.status, expected, "{path}/");
    }
}

/// What has no entry in the document is not served: one route stands outside of it, and is named.
#[test]
fn routes_come_from_the_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/api/src");
    let mut by_hand = Vec::new();
    let mut folders = vec![path];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap();
            // What answers that there is nothing serves nothing.
            let nothing = ".fallback(async || Problem::new(Code::NotFound))";
            let lines = product.lines().map(str::trim);
            let found = lines.filter(|line| *line != nothing).filter(|line| {
                [".route(", ".nest(", ".merge(", ".fallback(", ".route_service("]
                    .iter()
                    .any(|call| line.contains(call))
            });
            by_hand.extend(found.map(str::to_owned));
        }
    }
    assert_eq!(by_hand, [".route(\"/problems/\", routing::get(pages::index))"]);
}

#[tokio::test]
async fn the_served_document_is_that_of_the_code() {
    let stack = Stack::start().await;
    let served = stack.nobody().get("/v1/openapi.json").await;
    assert_eq!(served.expect(StatusCode::OK), of_code());
    let health = stack.nobody().get("/v1/health").await;
    assert_eq!(health.expect(StatusCode::OK)["status"], "ok");
}

/// On AWS the gateway answers preflights, on one machine the router does: both must say the same.
#[tokio::test]
async fn gateway_and_router_let_the_same_front_ends_in() {
    let stack = Stack::start().await;
    let mut apis = Template::embedded().unwrap().of_kind("AWS::ApiGatewayV2::Api");
    let cors = apis.next().unwrap().property(&["CorsConfiguration"]).unwrap();
    let texts = |name: &str| -> BTreeSet<String> {
        let list = cors.get(name).unwrap().items().iter();
        list.map(|text| text.text().unwrap().to_lowercase()).collect()
    };
    assert!(
        cors.get("AllowOrigins")
            .unwrap()
            .tagged("!Ref")
            .and_then(Node::text)
            == Some("AllowedOrigins")
    );
    assert!(cors.get("AllowCredentials").is_none());

    let origin = "http://localhost:8080";
    let ask = [("origin", origin), ("access-control-request-method", "PATCH")];
    let preflight = stack
        .nobody()
        .call(Method::OPTIONS, "/v1/contacts/x", &ask, None)
        .await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT, "{}", preflight.text());
    let answer = stack.nobody().call(Method::GET, "/v1/me", &ask[..1], None).await;
    let said = |answer: &oubli_tests::Answer, name: &str| -> BTreeSet<String> {
        let list = answer
            .header(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .split(',');
        list.map(|text| text.trim().to_lowercase()).collect()
    };
    assert_eq!(
        said(&preflight, "access-control-allow-methods"),
        texts("AllowMethods")
    );
    assert_eq!(
        said(&preflight, "access-control-allow-headers"),
        texts("AllowHeaders")
    );
    assert_eq!(
        said(&answer, "access-control-expose-headers"),
        texts("ExposeHeaders")
    );
    let age = cors.get("MaxAge").and_then(Node::integer).unwrap().to_string();
    assert_eq!(preflight.header("access-control-max-age"), Some(age.as_str()));
    for answer in [&preflight, &answer] {
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(answer.header("access-control-allow-credentials").is_none());
    }

    for stranger in [
        "https://evil.example.com",
        "http://localhost:8080.evil.example.com",
        "http://localhost:80801",
        "https://localhost:8080",
        "HTTP://LOCALHOST:8080",
        "null",
        "*",
    ] {
        let ask = [("origin", stranger), ("access-control-request-method", "PATCH")];
        for method in [Method::OPTIONS, Method::GET] {
            let answer = stack.nobody().call(method, "/v1/me", &ask, None).await;
            assert!(
                answer.header("access-control-allow-origin").is_none(),
                "{stranger}"
            );
        }
    }
}
