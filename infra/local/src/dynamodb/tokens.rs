//! Transactions that are asked for with a token: for ten minutes the same token gets the same answer, and
//! nothing is done twice (API reference of `TransactWriteItems`, `ClientRequestToken`).
//!
//! `dynoxide` does this too, but looks through every token it knows at every transaction, which makes a
//! hundred thousand of them take hours. So it sees none: they are kept here, in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dynoxide::DynoxideError;

/// How long a token is known.
const KNOWN_FOR: Duration = Duration::from_mins(10);

/// The tokens of the last ten minutes.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// A hash of what was asked for with a token, without it, and the answer.
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
        let mut hasher = DefaultHasher::new();
        body.replace(token, "").hash(&mut hasher);
        let asked = hasher.finish();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_done_once_until_it_is_forgotten() {
        let tokens = Tokens::default();
        let ask = |token: &str, body: &str, answer: &str| tokens.once(token, body, || Ok(answer.to_owned()));
        assert_eq!(ask("one", "one: a", "first").unwrap(), "first");
        assert_eq!(ask("one", "one: a", "second").unwrap(), "first");
        assert_eq!(ask("two", "two: a", "second").unwrap(), "second");
        assert!(matches!(
            ask("one", "one: b", "third"),
            Err(DynoxideError::IdempotentParameterMismatchException(_))
        ));
        tokens.0.lock().unwrap().forget_before(Instant::now());
        assert_eq!(ask("one", "one: b", "third").unwrap(), "third");
    }

    #[test]
    fn what_is_refused_may_be_asked_for_again() {
        let tokens = Tokens::default();
        let refuse = || Err(DynoxideError::InternalServerError("no".to_owned()));
        assert!(tokens.once("one", "a", refuse).is_err());
        assert_eq!(tokens.once("one", "a", || Ok("done".to_owned())).unwrap(), "done");
    }
}
