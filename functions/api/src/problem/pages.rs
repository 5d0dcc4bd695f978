//! The pages that explain the codes: `type` of a problem leads there.

use std::fmt::Write;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;
use oubli_domain::Reason;

use super::{Code, Problem, problems};

problems!(PageProblems: [PathMalformed, NotFound, Internal]);

/// All codes of problems and all reasons of items.
#[utoipa::path(get, path = "/problems", operation_id = "list_problems", tag = "problems",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub async fn index() -> Response {
    let mut body =
        String::from("<h1>Problems</h1>\n<p>What the API answers when it refuses a request.</p>\n<dl>\n");
    for code in Code::ALL {
        let (code, status, text) = (code.code(), code.status().as_u16(), code.explanation());
        entry(
            &mut body,
            &format!("<a href=\"/problems/{code}\"><code>{code}</code></a> ({status})"),
            text,
        );
    }
    body.push_str("</dl>\n<h1>Reasons</h1>\n<p>Why something is not possible, or went wrong, for one contact.</p>\n<dl>\n");
    for reason in Reason::ALL {
        let code = reason.code();
        entry(
            &mut body,
            &format!("<code id=\"{code}\">{code}</code>"),
            reason.explanation(),
        );
    }
    body.push_str("</dl>\n");
    page("Problems and reasons", &body)
}

/// What one code means.
#[utoipa::path(get, path = "/problems/{code}", operation_id = "get_problem", tag = "problems",
    params(("code" = String, Path, description = "The code of the problem")),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), PageProblems))]
pub async fn one(path: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(code) = path.map_err(|_| Problem::new(Code::PathMalformed))?;
    let code = Code::from_code(&code).ok_or_else(|| Problem::new(Code::NotFound))?;
    let (title, status) = (escape(code.title()), code.status());
    let body = format!(
        "<h1>{title}</h1>\n<p><code>{}</code>, status {status}</p>\n<p>{}</p>\n<p><a href=\"/problems\">All problems</a></p>\n",
        code.code(),
        prose(code.explanation()),
    );
    Ok(page(code.title(), &body))
}

fn entry(body: &mut String, term: &str, text: &str) {
    // Writing into a `String` cannot fail.
    let _ = writeln!(body, "<dt>{term}</dt><dd>{}</dd>", prose(text));
}

/// Escaped text, with what stands in backticks as code.
fn prose(text: &str) -> String {
    let parts = escape(text);
    let parts = parts.split('`').enumerate();
    parts
        .map(|(index, part)| {
            if index % 2 == 1 {
                format!("<code>{part}</code>")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>body{{font:1rem/1.5 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem}}\
         dt{{margin-top:.8rem}}</style>\n{body}</html>\n",
        escape(title)
    );
    let mut response = Html(html).into_response();
    let policy =
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn text(response: Response) -> String {
        String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_code_has_its_page_and_stands_in_the_index() {
        let index = text(index().await).await;
        for code in Code::ALL {
            let page = text(one(Ok(Path(code.code().to_owned()))).await.unwrap()).await;
            assert!(page.contains(&escape(code.title())), "{page}");
            assert!(index.contains(&format!("/problems/{}\"", code.code())));
        }
        for reason in Reason::ALL {
            assert!(index.contains(reason.code()));
        }
    }

    #[tokio::test]
    async fn there_is_no_page_for_nonsense() {
        assert_eq!(
            one(Ok(Path("<script>".into()))).await.unwrap_err().code(),
            Code::NotFound
        );
    }

    #[test]
    fn backticks_become_code() {
        assert_eq!(
            prose("see `If-Match` & <x>"),
            "see <code>If-Match</code> &amp; &lt;x&gt;"
        );
    }
}
