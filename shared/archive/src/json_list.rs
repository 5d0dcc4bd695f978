//! Reads a JSON object of which one member is a list of up to 100,000 objects: they are handed on one by
//! one, because the list as a whole would take several times what is kept of it.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Gives every member but the list, which is handed on item by item.
///
/// # Errors
/// What is no JSON, another shape, a member twice, or no list.
pub(crate) fn read_json_list<T: DeserializeOwned>(
    reader: impl Read,
    list: &'static str,
    each: impl FnMut(T),
) -> serde_json::Result<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let object = ObjectSeed {
        list,
        items: ItemsSeed {
            each,
            item: PhantomData,
        },
    };
    let members = object.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(members)
}

struct ObjectSeed<T, F> {
    list: &'static str,
    items: ItemsSeed<T, F>,
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> DeserializeSeed<'de> for ObjectSeed<T, F> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> Visitor<'de> for ObjectSeed<T, F> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Map::new();
        let mut items = Some(self.items);
        while let Some(name) = map.next_key::<String>()? {
            if name == self.list {
                let items = items.take().ok_or_else(|| A::Error::duplicate_field(self.list))?;
                map.next_value_seed(items)?;
            } else if members.insert(name, map.next_value()?).is_some() {
                return Err(A::Error::custom("a member stands there twice"));
            }
        }
        if items.is_some() {
            return Err(A::Error::missing_field(self.list));
        }
        Ok(members)
    }
}

struct ItemsSeed<T, F> {
    each: F,
    item: PhantomData<T>,
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> DeserializeSeed<'de> for ItemsSeed<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> Visitor<'de> for ItemsSeed<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.each)(item);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_handed_on_and_the_rest_is_given() {
        let mut items = Vec::new();
        let text = r#"{"a": 1, "list": [1, 2], "b": {"list": []}} "#;
        let members = read_json_list(text.as_bytes(), "list", |item: u8| items.push(item)).unwrap();
        assert_eq!(items, [1, 2]);
        assert_eq!(Value::Object(members).to_string(), r#"{"a":1,"b":{"list":[]}}"#);
    }

    #[test]
    fn another_shape_is_refused() {
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"list": {}}"#,
            r#"{"list": [300]}"#,
            r#"{"list": [], "list": []}"#,
            r#"{"list": [], "a": 1, "a": 2}"#,
            r#"{"list": []} x"#,
            r#"{"list": []"#,
        ] {
            assert!(
                read_json_list(wrong.as_bytes(), "list", |_: u8| {}).is_err(),
                "{wrong}"
            );
        }
    }
}
