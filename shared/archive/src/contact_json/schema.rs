//! The JSON Schema of `contact.json`, made from the declarations of the fields, against the copy that is
//! committed and put into every archive. `UPDATE_SCHEMA=1` rewrites the copy.

use oubli_domain::contact::{FIELDS, Field, FieldDeclaration, Presence, Shape};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::{CONTACT_FORMAT, CONTACT_VERSION, SCHEMA, SCHEMA_NAME};

/// JSON whose members stay in the order in which they were given.
enum Node {
    Text(&'static str),
    Number(u32),
    Bool(bool),
    List(Vec<Node>),
    Object(Vec<(&'static str, Node)>),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

use Node::{Bool, List, Number, Object, Text};

fn texts(items: impl IntoIterator<Item = &'static str>) -> Node {
    List(items.into_iter().map(Text).collect())
}

fn reference(name: &'static str) -> Node {
    Object(vec![("$ref", Text(name))])
}

fn line() -> Node {
    Object(vec![("type", Text("string")), ("minLength", Number(1))])
}

/// An object that holds these members and no others.
fn closed(required: Vec<&'static str>, properties: Vec<(&'static str, Node)>) -> Node {
    Object(vec![
        ("type", Text("object")),
        ("additionalProperties", Bool(false)),
        ("required", texts(required)),
        ("properties", Object(properties)),
    ])
}

fn described(description: &'static str, node: Node) -> Node {
    match node {
        Object(mut members) => {
            members.insert(0, ("description", Text(description)));
            Object(members)
        }
        other => other,
    }
}

fn of_shape(shape: Shape) -> Node {
    match shape {
        Shape::Line | Shape::Text | Shape::Email | Shape::Phone => line(),
        Shape::Address => closed(
            vec!["lines"],
            vec![
                (
                    "lines",
                    Object(vec![
                        ("type", Text("array")),
                        ("minItems", Number(1)),
                        ("items", line()),
                    ]),
                ),
                ("postal_code", line()),
                ("city", line()),
                ("country", line()),
            ],
        ),
        Shape::CustomFields => Object(vec![
            ("type", Text("object")),
            (
                "additionalProperties",
                Object(vec![("type", texts(["string", "number", "boolean"]))]),
            ),
        ]),
        Shape::MemberId => line(),
        Shape::Business => closed(
            vec!["opportunities", "proposals", "deals"],
            vec![
                ("opportunities", reference("#/$defs/count")),
                ("proposals", reference("#/$defs/count")),
                ("deals", reference("#/$defs/count")),
            ],
        ),
        Shape::DocumentId => reference("#/$defs/id"),
    }
}

fn of_field(declaration: &FieldDeclaration) -> Node {
    let node = of_shape(declaration.shape);
    match declaration.field {
        Field::CustomFields => described("Fields that the company defined itself, by name.", node),
        Field::AssignedTo => described("The member of the company who is in charge.", node),
        Field::Business => described("How much business was done with the contact.", node),
        Field::PhotoDocumentId => described("Which of the documents is the photo.", node),
        Field::LastName
        | Field::FirstName
        | Field::JobTitle
        | Field::Email
        | Field::Phone
        | Field::Mobile
        | Field::Address
        | Field::Notes => node,
    }
}

fn contact() -> Node {
    let required = FIELDS
        .iter()
        .filter(|declaration| declaration.presence == Presence::Required)
        .map(|declaration| declaration.name);
    let mut properties = vec![("id", reference("#/$defs/id"))];
    properties.extend(
        FIELDS
            .iter()
            .map(|declaration| (declaration.name, of_field(declaration))),
    );
    properties.push(("created_at", reference("#/$defs/time")));
    properties.push(("updated_at", reference("#/$defs/time")));
    let required = std::iter::once("id")
        .chain(required)
        .chain(["created_at", "updated_at"]);
    closed(required.collect(), properties)
}

fn documents() -> Node {
    let path = Object(vec![
        ("description", Text("Where it is in the archive.")),
        ("type", Text("string")),
        ("pattern", Text("^(documents|photo)/[^/]+$")),
    ]);
    let document = closed(
        vec![
            "id",
            "kind",
            "name",
            "path",
            "content_type",
            "size_bytes",
            "created_at",
        ],
        vec![
            ("id", reference("#/$defs/id")),
            ("kind", Object(vec![("enum", texts(["document", "photo"]))])),
            ("name", described("As it was given.", line())),
            ("path", path),
            ("content_type", line()),
            ("size_bytes", reference("#/$defs/count")),
            ("created_at", reference("#/$defs/time")),
        ],
    );
    Object(vec![("type", Text("array")), ("items", document)])
}

fn schema() -> Node {
    let constant = |node| Object(vec![("const", node)]);
    let text_of = |pattern| Object(vec![("type", Text("string")), ("pattern", Text(pattern))]);
    let mut time = vec![("type", Text("string")), ("format", Text("date-time"))];
    time.push(("pattern", Text("Z$")));
    let mut members = vec![
        ("$schema", Text("https://json-schema.org/draft/2020-12/schema")),
        ("title", Text("The personal data held about a contact")),
        (
            "description",
            Text(
                "Describes contact.json. Sizes are in bytes, times in UTC (RFC 3339). A value that is not held is left out.",
            ),
        ),
    ];
    let Object(whole) = closed(
        vec!["$schema", "format", "format_version", "contact", "documents"],
        vec![
            ("$schema", constant(Text(SCHEMA_NAME))),
            ("format", constant(Text(CONTACT_FORMAT))),
            ("format_version", constant(Number(CONTACT_VERSION))),
            ("contact", contact()),
            ("documents", documents()),
        ],
    ) else {
        panic!("an object")
    };
    members.extend(whole);
    members.push((
        "$defs",
        Object(vec![
            ("id", text_of("^[0-9A-Za-z_-]{1,64}$")),
            (
                "count",
                Object(vec![("type", Text("integer")), ("minimum", Number(0))]),
            ),
            ("time", Object(time)),
        ]),
    ));
    Object(members)
}

#[test]
fn the_schema_is_what_the_fields_declare() {
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/contact.schema.json");
        std::fs::write(path, &made).unwrap();
        return;
    }
    assert!(
        made == SCHEMA,
        "run this test with UPDATE_SCHEMA=1 and look at the difference"
    );
}
