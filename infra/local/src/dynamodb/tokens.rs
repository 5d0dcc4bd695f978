//! Transactions that are asked for with a token: for ten minutes the same token gets the same answer, and
//! nothing is done twice (API reference of `TransactWriteItems`, `ClientRequestToken`).
//!
//! `dynoxide` does this too, but looks through every token it knows at every transaction, which makes a
//! hundred thousand of them take hours. So it sees none: they are kept here, in the order in which they came.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dynoxide::DynoxideError;
use serde_json::Value;

/// How long a token is known.
const KNOWN_FOR: Duration = Duration::from_mins(10);

/// The tokens of the last ten minutes.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// A hash of what was asked for with a token, and the answer.
    answers: HashMap<String, (u64, String)>,
    in_order: VecDeque<(Instant, String)>,
}

impl Known {
    fn forget_before(&mut self, instant: Instant) {
        while let Some((_, token)) = self.in_order.pop_front_if(|(since, _)| *since < instant) {
            self.answers.remove(&token);
        }
    }
}

impl Tokens {
    /// Does what `body` asks for, unless it was done with this token before; what is refused may be asked for
    /// again. One is done at a time, as in the engine anyway.
    ///
    /// # Errors
    /// Those of the transaction; `IdempotentParameterMismatchException` when the token was for another.
    pub(super) fn once(
        &self,
        token: &str,
        body: &str,
        run: impl FnOnce() -> dynoxide::Result<String>,
    ) -> dynoxide::Result<String> {
        let asked = hash_of_items(body);
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = now.checked_sub(KNOWN_FOR) {
            known.forget_before(before);
        }
        match known.answers.get(token) {
            Some((before, answer)) if *before == asked => return Ok(answer.clone()),
            Some(_) => {
                return Err(DynoxideError::IdempotentParameterMismatchException(
                    "the token was used for another transaction".to_owned(),
                ));
            }
            None => {}
        }
        let answer = run()?;
        known.answers.insert(token.to_owned(), (asked, answer.clone()));
        known.in_order.push_back((now, token.to_owned()));
        Ok(answer)
    }
}

/// A hash of what a transaction does. The members of its objects are in any order.
fn hash_of_items(body: &str) -> u64 {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    hash(body.get("TransactItems").unwrap_or(&Value::Null), &mut hasher);
    hasher.finish()
}

fn hash(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().collect();
            members.len().hash(hasher);
            for (name, value) in members {
                name.hash(hasher);
                hash(value, hasher);
            }
        }
        Value::Array(values) => {
            values.len().hash(hasher);
            values.iter().for_each(|value| hash(value, hasher));
        }
        plain => plain.to_string().hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_done_once_until_it_is_forgotten() {
        let tokens = Tokens::default();
        let ask = |token: &str, body: &str, answer: &str| tokens.once(token, body, || Ok(answer.to_owned()));
        let body = r#"{"TransactItems":[{"Put":{"a":1,"b":[2]}}],"ClientRequestToken":"one"}"#;
        let same = r#"{"ClientRequestToken":"one","TransactItems":[{"Put":{"b":[2],"a":1}}]}"#;
        let other = r#"{"ClientRequestToken":"one","TransactItems":[{"Put":{"b":[1],"a":2}}]}"#;
        assert_eq!(ask("one", body, "first").unwrap(), "first");
        assert_eq!(ask("one", same, "second").unwrap(), "first");
        assert_eq!(ask("two", same, "second").unwrap(), "second");
        assert!(matches!(
            ask("one", other, "third"),
            Err(DynoxideError::IdempotentParameterMismatchException(_))
        ));
        tokens.0.lock().unwrap().forget_before(Instant::now());
        assert_eq!(ask("one", other, "third").unwrap(), "third");
    }

    #[test]
    fn what_is_refused_may_be_asked_for_again() {
        let tokens = Tokens::default();
        let refuse = || Err(DynoxideError::InternalServerError("no".to_owned()));
        assert!(tokens.once("one", "{}", refuse).is_err());
        assert_eq!(
            tokens.once("one", "{}", || Ok("done".to_owned())).unwrap(),
            "done"
        );
    }
}
