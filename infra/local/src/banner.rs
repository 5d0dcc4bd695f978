//! What `cargo run` prints when it is ready: where things are, and what to try.

use oubli_local::runner::{Runner, TokenRequest};

/// The members of the demo tenant, and what each may do.
const MEMBERS: [(&str, &str); 3] = [
    ("agent", "client_contacts_privacy"),
    ("admin", "every right"),
    ("guest", "no right"),
];

/// The text, in under a screen.
pub(crate) async fn of(runner: &Runner) -> anyhow::Result<String> {
    let (api, aws) = (runner.api_url(), runner.aws_url());
    let mut tokens = String::new();
    for (member, rights) in MEMBERS {
        let request = TokenRequest::Staff {
            tenant: "demo".to_owned(),
            member: member.to_owned(),
            email: format!("{member}@demo.example.com"),
        };
        let (token, _) = runner.identity().token(&request, runner.clock().now())?;
        let name = member.to_uppercase();
        tokens.push_str(&format!("{name}={token}   # {rights}\n"));
    }
    Ok(format!(
        r#"Oubli runs on this machine; nothing leaves it.
  API   {api}      (GET /v1/openapi.json, /problems/)
  AWS   {aws}      (any AWS SDK or CLI, with dummy credentials)
  Tokens of tenant `demo`, for 12 hours (new ones: {api}/dev/token?member=agent):

{tokens}
Paste the tokens, then try, line by line:

A="Authorization: Bearer $AGENT"; J='Content-Type: application/json'; id() {{ grep -o '"id":"[^"]*' | head -1 | cut -d'"' -f4; }}
curl -s -H "$A" '{api}/v1/contacts?limit=3'
CONTACT=$(curl -s -H "$A" '{api}/v1/contacts?q=lefevre' | id); S='{{"kind":"export","selection":{{"contact_ids":["'$CONTACT'"]}}}}'
curl -s -H "$A" -H "$J" -d "$S" {api}/v1/data-actions/preview
ACTION=$(curl -s -H "$A" -H "$J" -d "$S" {api}/v1/data-actions | id)
until curl -s -H "$A" {api}/v1/data-actions/$ACTION | grep '"state":"completed"'; do sleep 1; done
until curl -s {api}/dev/outbox | grep '"subject"'; do sleep 1; done
ARCHIVE=$(curl -s -H "$A" {api}/v1/data-actions/$ACTION/items | id)
curl -sL -o archive.zip -H "$A" {api}/v1/archives/$ARCHIVE/content; unzip -l archive.zip
"#
    ))
}
