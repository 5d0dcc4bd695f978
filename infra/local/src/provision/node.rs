//! YAML as CloudFormation writes it: with tags such as `!Ref`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Tagged;

use super::ProvisionError;

/// A node of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<(String, Node)>),
    /// A tag, with its exclamation mark, and what it stands before: `!Ref Name`.
    Tagged(String, Box<Node>),
}

impl Node {
    /// Reads a YAML document.
    ///
    /// # Errors
    /// [`ProvisionError::Template`] with the place.
    pub fn parse(text: &str) -> Result<Self, ProvisionError> {
        serde_saphyr::from_str(text).map_err(|error| ProvisionError::Template(error.to_string()))
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node)
    }

    /// The node at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a mapping; none if this is not one.
    pub fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none if this is not one.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if this is one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// What a tag stands before, if this is that tag.
    pub fn tagged(&self, tag: &str) -> Option<&Self> {
        match self {
            Self::Tagged(found, node) if found == tag => Some(node),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Untagged(node), tag) = Tagged::deserialize(deserializer)?;
        Ok(match tag {
            Some(tag) => Self::Tagged(tag, Box::new(node)),
            None => node,
        })
    }
}

/// A node without its own tag.
struct Untagged(Node);

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a whole number, a truth value, a list or a mapping")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        i64::try_from(number).map(Node::Integer).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_kept_wherever_they_stand() {
        let node = Node::parse(
            "a: !Ref Name\nb: [!GetAtt A.Arn, !Sub \"${A}/*\"]\nc: { d: !Join [\",\", !Ref List], e: \"true\" }\nf: !Not [!Equals [1, true]]\n",
        )
        .unwrap();
        let reference = |name: &str| Node::Tagged("!Ref".into(), Box::new(Node::Text(name.into())));
        assert_eq!(node.get("a"), Some(&reference("Name")));
        assert_eq!(
            node.get("b").unwrap().items()[0]
                .tagged("!GetAtt")
                .unwrap()
                .text(),
            Some("A.Arn")
        );
        assert_eq!(
            node.get("b").unwrap().items()[1].tagged("!Sub").unwrap().text(),
            Some("${A}/*")
        );
        let join = node.at(&["c", "d"]).unwrap().tagged("!Join").unwrap();
        assert_eq!(join.items(), [Node::Text(",".into()), reference("List")]);
        assert_eq!(
            node.at(&["c", "e"]),
            Some(&Node::Text("true".into())),
            "a quoted `true` is a text"
        );
        let equals = node.get("f").unwrap().tagged("!Not").unwrap().items()[0]
            .tagged("!Equals")
            .unwrap();
        assert_eq!(equals.items(), [Node::Integer(1), Node::Bool(true)]);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let error = Node::parse("a: 1\na: 2\n").unwrap_err();
        assert!(error.to_string().contains("duplicate"), "{error}");
    }
}
