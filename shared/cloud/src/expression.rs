//! Conditions and updates of DynamoDB, with their placeholders, in one form for single writes and
//! for transactions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::keys::Key;

/// An item as DynamoDB has it.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// What the name placeholders of a request stand for.
pub(crate) type Names = HashMap<String, String>;

pub(crate) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// What must hold for a write to happen. Paths are dotted.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Absent(&'static str),
    Present(&'static str),
    Equal(&'static str, AttributeValue),
    NotEqual(&'static str, AttributeValue),
    Less(&'static str, AttributeValue),
    LessOrEqual(&'static str, AttributeValue),
    Greater(&'static str, AttributeValue),
    GreaterOrEqual(&'static str, AttributeValue),
    BeginsWith(&'static str, AttributeValue),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// Names and values behind the placeholders of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placeholders {
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Placeholders {
    fn path(&mut self, path: &str) -> String {
        let mut written = Vec::new();
        for name in path.split('.') {
            let placeholder = format!("#{name}");
            self.names.insert(placeholder.clone(), name.to_owned());
            written.push(placeholder);
        }
        written.join(".")
    }

    /// Writes a list of paths, separated by commas, as a projection.
    pub(crate) fn names(&mut self, paths: &str) -> String {
        let written: Vec<_> = paths.split(',').map(|path| self.path(path.trim())).collect();
        written.join(", ")
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// Writes a condition as an expression.
    pub(crate) fn condition(&mut self, condition: Condition) -> String {
        match condition {
            Condition::Absent(path) => format!("attribute_not_exists({})", self.path(path)),
            Condition::Present(path) => format!("attribute_exists({})", self.path(path)),
            Condition::Equal(path, value) => self.compare(path, "=", value),
            Condition::NotEqual(path, value) => self.compare(path, "<>", value),
            Condition::Less(path, value) => self.compare(path, "<", value),
            Condition::LessOrEqual(path, value) => self.compare(path, "<=", value),
            Condition::Greater(path, value) => self.compare(path, ">", value),
            Condition::GreaterOrEqual(path, value) => self.compare(path, ">=", value),
            Condition::BeginsWith(path, value) => {
                let (path, value) = (self.path(path), self.value(value));
                format!("begins_with({path}, {value})")
            }
            Condition::All(conditions) => self.join(conditions, " AND "),
            Condition::Any(conditions) => self.join(conditions, " OR "),
        }
    }

    fn compare(&mut self, path: &str, operator: &str, value: AttributeValue) -> String {
        let (path, value) = (self.path(path), self.value(value));
        format!("{path} {operator} {value}")
    }

    fn join(&mut self, conditions: Vec<Condition>, with: &str) -> String {
        let parts: Vec<_> = conditions.into_iter().map(|part| self.condition(part)).collect();
        format!("({})", parts.join(with))
    }

    pub(crate) fn into_parts(self) -> (Option<Names>, Option<Attributes>) {
        let names = (!self.names.is_empty()).then_some(self.names);
        let values = (!self.values.is_empty()).then_some(self.values);
        (names, values)
    }
}

/// A change of one item.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) key: Key,
    set: Vec<(&'static str, AttributeValue)>,
    set_once: Vec<(&'static str, AttributeValue)>,
    add: Vec<(&'static str, AttributeValue)>,
    increment: Vec<&'static str>,
    remove: Vec<&'static str>,
    insert: Vec<(&'static str, AttributeValue)>,
    take_out: Vec<(&'static str, AttributeValue)>,
    condition: Option<Condition>,
}

impl Update {
    pub(crate) fn of(key: Key) -> Self {
        let (set, set_once, add) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            key,
            set,
            set_once,
            add,
            increment: Vec::new(),
            remove: Vec::new(),
            insert: Vec::new(),
            take_out: Vec::new(),
            condition: None,
        }
    }

    /// Sets an attribute.
    #[must_use]
    pub(crate) fn set(mut self, path: &'static str, value: AttributeValue) -> Self {
        self.set.push((path, value));
        self
    }

    /// Sets an attribute if a value is given, and removes it otherwise.
    #[must_use]
    pub(crate) fn set_or_remove(self, path: &'static str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(path, value),
            None => self.remove(path),
        }
    }

    /// Sets an attribute that is not there yet.
    #[must_use]
    pub(crate) fn set_once(mut self, path: &'static str, value: AttributeValue) -> Self {
        self.set_once.push((path, value));
        self
    }

    /// Adds to a number that is there.
    #[must_use]
    pub(crate) fn add(mut self, path: &'static str, by: i64) -> Self {
        if by != 0 {
            self.add.push((path, number(by)));
        }
        self
    }

    /// Adds one to a number that may not be there yet.
    #[must_use]
    pub(crate) fn increment(mut self, path: &'static str) -> Self {
        self.increment.push(path);
        self
    }

    /// Removes an attribute.
    #[must_use]
    pub(crate) fn remove(mut self, path: &'static str) -> Self {
        self.remove.push(path);
        self
    }

    /// Inserts texts into a set, which may not be there yet. DynamoDB takes no nested path here.
    #[must_use]
    pub(crate) fn insert(mut self, name: &'static str, texts: Vec<String>) -> Self {
        self.insert.push((name, AttributeValue::Ss(texts)));
        self
    }

    /// Takes texts out of a set; those that are not in it are fine. A set that is empty then goes.
    #[must_use]
    pub(crate) fn take_out(mut self, name: &'static str, texts: Vec<String>) -> Self {
        self.take_out.push((name, AttributeValue::Ss(texts)));
        self
    }

    /// Says what must hold.
    #[must_use]
    pub(crate) fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// The update expression, the condition, and what their placeholders stand for.
    pub(crate) fn write(self) -> (String, Option<String>, Placeholders) {
        let mut placeholders = Placeholders::default();
        let mut set = Vec::new();
        for (path, value) in self.set {
            let (path, value) = (placeholders.path(path), placeholders.value(value));
            set.push(format!("{path} = {value}"));
        }
        for (path, value) in self.set_once {
            let (path, value) = (placeholders.path(path), placeholders.value(value));
            set.push(format!("{path} = if_not_exists({path}, {value})"));
        }
        // `SET a.b = a.b + :n` where ADD would do: ADD does not take nested paths.
        for (path, value) in self.add {
            let (path, value) = (placeholders.path(path), placeholders.value(value));
            set.push(format!("{path} = {path} + {value}"));
        }
        for path in self.increment {
            let (path, zero, one) = (
                placeholders.path(path),
                placeholders.value(number(0)),
                placeholders.value(number(1)),
            );
            set.push(format!("{path} = if_not_exists({path}, {zero}) + {one}"));
        }
        let remove: Vec<_> = self.remove.iter().map(|path| placeholders.path(path)).collect();
        let mut clauses = Vec::new();
        if !set.is_empty() {
            clauses.push(format!("SET {}", set.join(", ")));
        }
        if !remove.is_empty() {
            clauses.push(format!("REMOVE {}", remove.join(", ")));
        }
        for (verb, changes) in [("ADD", self.insert), ("DELETE", self.take_out)] {
            let change = |(name, value)| format!("{} {}", placeholders.path(name), placeholders.value(value));
            let changes: Vec<_> = changes.into_iter().map(change).collect();
            if !changes.is_empty() {
                clauses.push(format!("{verb} {}", changes.join(", ")));
            }
        }
        let condition = self.condition.map(|condition| placeholders.condition(condition));
        (clauses.join(" "), condition, placeholders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_written_with_placeholders_only() {
        let key = Key {
            pk: "p".into(),
            sk: "s".into(),
        };
        let update = Update::of(key)
            .set("state", text("done"))
            .set_once("archive_id", text("a"))
            .add("counts.done", 1)
            .remove("lease_until")
            .when(Condition::All(vec![
                Condition::Equal("state", text("running")),
                Condition::Any(vec![Condition::Absent("x"), Condition::Less("y", number(3))]),
            ]));
        let (expression, condition, placeholders) = update.write();
        assert_eq!(
            expression,
            "SET #state = :v0, #archive_id = if_not_exists(#archive_id, :v1), \
             #counts.#done = #counts.#done + :v2 REMOVE #lease_until"
        );
        assert_eq!(
            condition.unwrap(),
            "(#state = :v3 AND (attribute_not_exists(#x) OR #y < :v4))"
        );
        assert_eq!(placeholders.values.len(), 5);
        assert_eq!(placeholders.names.get("#counts").unwrap(), "counts");
    }

    #[test]
    fn sets_are_changed_text_by_text() {
        let key = Key {
            pk: "p".into(),
            sk: "s".into(),
        };
        let update = Update::of(key)
            .insert("memberships", vec!["a#2".into()])
            .take_out("former", vec!["a#1".into()]);
        let (expression, _, placeholders) = update.write();
        assert_eq!(expression, "ADD #memberships :v0 DELETE #former :v1");
        assert_eq!(
            placeholders.values.get(":v1"),
            Some(&AttributeValue::Ss(vec!["a#1".into()]))
        );
    }
}
