//! Evaluates the intrinsic functions of CloudFormation that the template uses.
//!
//! Source: AWS CloudFormation user guide, "Intrinsic function reference".

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::node::Node;
use super::template::{Resource, Template};
use super::{Missing, ProvisionError, ProvisionParameters, REGION};

/// The account that local endpoints speak of.
const ACCOUNT: &str = "000000000000";

/// The key of the object that stands for `AWS::NoValue`: the property that has it is left out.
const NO_VALUE: &str = "AWS::NoValue";

/// What stands in the place of an expression about something that is not made here. No property that is
/// read has this shape, so it shows as an error just where it is needed.
const NOT_MADE: &str = "not made here";

/// A resource that is there.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// What `!Ref` gives.
    pub(super) reference: String,
    /// What `!GetAtt` gives.
    pub(super) attributes: BTreeMap<&'static str, String>,
}

/// Knows the parameters and what is made so far.
pub(super) struct Evaluator<'t> {
    template: &'t Template,
    parameters: BTreeMap<String, Value>,
    stack_name: String,
    made: BTreeMap<String, Made>,
}

impl<'t> Evaluator<'t> {
    /// Judges the parameters by the template.
    pub(super) fn new(template: &'t Template, given: &ProvisionParameters) -> Result<Self, ProvisionError> {
        let origins = given.allowed_origins.join(",");
        let optional = [
            ("ArchiveKeyId", &given.archive_key_id),
            ("TrustedArchiveKeys", &given.trusted_archive_keys),
        ];
        let mut given_values = vec![
            ("FrontEndUrl", &given.front_end_url),
            ("AllowedOrigins", &origins),
            ("Issuer", &given.issuer),
            ("MailFrom", &given.mail_from),
            ("LogLevel", &given.log_level),
        ];
        given_values.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        let declared = template
            .at(&["Parameters"])
            .map(Node::entries)
            .unwrap_or_default();
        let mut parameters = BTreeMap::new();
        for (name, declaration) in declared {
            let given = given_values.iter().find(|(given, _)| given == name);
            let value = parameter(declaration, given.map(|(_, value)| value.as_str()));
            let value = value.map_err(|detail| ProvisionError::Parameter {
                parameter: name.clone(),
                detail: detail.into(),
            })?;
            parameters.insert(name.clone(), value);
        }
        if let Some((name, _)) = given_values
            .iter()
            .find(|(name, _)| !parameters.contains_key(*name))
        {
            let detail = "is given, but not declared".into();
            return Err(ProvisionError::Parameter {
                parameter: (*name).to_owned(),
                detail,
            });
        }
        Ok(Self {
            template,
            parameters,
            stack_name: given.prefix.clone(),
            made: BTreeMap::new(),
        })
    }

    /// Takes note of a resource that is there.
    pub(super) fn add(&mut self, logical_id: String, made: Made) {
        self.made.insert(logical_id, made);
    }

    /// What is made so far.
    pub(super) fn made(&self) -> impl Iterator<Item = &Made> {
        self.made.values()
    }

    /// The template that is evaluated.
    pub(super) fn template(&self) -> &'t Template {
        self.template
    }

    /// Whether a resource's condition holds.
    pub(super) fn holds(&self, resource: &Resource) -> Result<bool, ProvisionError> {
        let Some(name) = &resource.condition else {
            return Ok(true);
        };
        let condition = self.template.at(&["Conditions", name]);
        match condition.map(|condition| self.value(condition)).transpose()? {
            Some((Value::Bool(holds), _)) => Ok(holds),
            _ => Err(ProvisionError::Template(format!(
                "the condition `{name}` is neither true nor false"
            ))),
        }
    }

    /// The alias that the template gives a key.
    pub(super) fn alias_of(&self, key: &Resource) -> Result<String, ProvisionError> {
        let wrong = || ProvisionError::Resource {
            resource: key.logical_id.clone(),
            detail: "has no alias, by which a second run could find it".into(),
        };
        let mut aliases = self.template.of_kind("AWS::KMS::Alias");
        let alias = aliases.find(|alias| {
            let target = alias.property(&["TargetKeyId"]).and_then(|id| id.tagged("!Ref"));
            target.and_then(Node::text) == Some(&key.logical_id)
        });
        let name = alias
            .and_then(|alias| alias.property(&["AliasName"]))
            .ok_or_else(wrong)?;
        match self.value(name)? {
            (Value::String(name), _) => Ok(name),
            _ => Err(wrong()),
        }
    }

    /// The properties of a resource, and what they refer to that is not made.
    pub(super) fn properties(&self, resource: &Resource) -> Result<(Value, Missing), ProvisionError> {
        match resource.node.get("Properties") {
            Some(properties) => self.value(properties),
            None => Ok((Value::Object(Map::new()), Missing::new())),
        }
    }

    /// The value of a node, and what it refers to that is not made.
    pub(super) fn value(&self, node: &Node) -> Result<(Value, Missing), ProvisionError> {
        let mut missing = Missing::new();
        let value = self.walk(node, &mut missing)?;
        Ok((value, missing))
    }

    fn walk(&self, node: &Node, missing: &mut Missing) -> Result<Value, ProvisionError> {
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Integer(number) => Value::from(*number),
            Node::Text(text) => Value::String(text.clone()),
            Node::List(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.walk(item, missing))
                    .collect::<Result<_, _>>()?,
            ),
            Node::Map(entries) => {
                let mut object = Map::new();
                for (key, node) in entries {
                    let value = self.walk(node, missing)?;
                    if value.get(NO_VALUE).is_none() {
                        object.insert(key.clone(), value);
                    }
                }
                Value::Object(object)
            }
            Node::Tagged(tag, argument) => self.intrinsic(tag, argument, missing)?,
        })
    }

    fn intrinsic(&self, tag: &str, argument: &Node, missing: &mut Missing) -> Result<Value, ProvisionError> {
        let wrong = || ProvisionError::Template(format!("`{tag}` cannot be applied to {argument:?}"));
        match (tag, argument) {
            ("!Ref", Node::Text(name)) => self.reference(name, missing),
            ("!GetAtt", Node::Text(name)) => {
                let (logical_id, attribute) = name.split_once('.').ok_or_else(wrong)?;
                self.attribute(logical_id, attribute, missing)
            }
            ("!Sub", Node::Text(text)) => self.substituted(text, missing),
            ("!Join", Node::List(arguments)) => {
                let [Node::Text(separator), list] = arguments.as_slice() else {
                    return Err(wrong());
                };
                let Value::Array(items) = self.walk(list, missing)? else {
                    return Err(wrong());
                };
                let items = items.iter().map(|item| item.as_str().ok_or_else(wrong));
                Ok(Value::String(
                    items.collect::<Result<Vec<_>, _>>()?.join(separator),
                ))
            }
            ("!Equals", Node::List(arguments)) => {
                let [left, right] = arguments.as_slice() else {
                    return Err(wrong());
                };
                Ok(Value::Bool(
                    self.walk(left, missing)? == self.walk(right, missing)?,
                ))
            }
            ("!If", Node::List(arguments)) => {
                let [Node::Text(condition), so, otherwise] = arguments.as_slice() else {
                    return Err(wrong());
                };
                let condition = self.template.at(&["Conditions", condition]).ok_or_else(wrong)?;
                let holds = self.walk(condition, missing)?.as_bool().ok_or_else(wrong)?;
                self.walk(if holds { so } else { otherwise }, missing)
            }
            ("!Not", Node::List(arguments)) => {
                let [argument] = arguments.as_slice() else {
                    return Err(wrong());
                };
                let value = self.walk(argument, missing)?.as_bool().ok_or_else(wrong)?;
                Ok(Value::Bool(!value))
            }
            _ => Err(wrong()),
        }
    }

    fn reference(&self, name: &str, missing: &mut Missing) -> Result<Value, ProvisionError> {
        if name == "AWS::NoValue" {
            return Ok(Value::Object(Map::from_iter([(
                NO_VALUE.to_owned(),
                Value::Null,
            )])));
        }
        let pseudo = match name {
            "AWS::Region" => Some(REGION),
            "AWS::AccountId" => Some(ACCOUNT),
            "AWS::Partition" => Some("aws"),
            "AWS::StackName" => Some(self.stack_name.as_str()),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Ok(Value::String(value.to_owned()));
        }
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        match self.made.get(name) {
            Some(made) => Ok(Value::String(made.reference.clone())),
            None => self.not_made(name, missing),
        }
    }

    fn attribute(
        &self,
        logical_id: &str,
        name: &str,
        missing: &mut Missing,
    ) -> Result<Value, ProvisionError> {
        let Some(made) = self.made.get(logical_id) else {
            return self.not_made(logical_id, missing);
        };
        let attribute = made.attributes.get(name);
        let attribute = attribute.ok_or_else(|| ProvisionError::Resource {
            resource: logical_id.to_owned(),
            detail: format!("the attribute `{name}` is not known here"),
        })?;
        Ok(Value::String(attribute.clone()))
    }

    fn not_made(&self, logical_id: &str, missing: &mut Missing) -> Result<Value, ProvisionError> {
        if !self
            .template
            .resources()
            .iter()
            .any(|resource| resource.logical_id == logical_id)
        {
            return Err(ProvisionError::Template(format!("there is no `{logical_id}`")));
        }
        missing.insert(logical_id.to_owned());
        Ok(Value::Object(Map::from_iter([(
            NOT_MADE.to_owned(),
            Value::from(logical_id),
        )])))
    }

    fn substituted(&self, text: &str, missing: &mut Missing) -> Result<Value, ProvisionError> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| ProvisionError::Template(format!("`{text}` has an open placeholder")))?;
            let value = match name.split_once('.') {
                Some((logical_id, attribute)) => self.attribute(logical_id, attribute, missing)?,
                None => self.reference(name, missing)?,
            };
            match value {
                Value::String(value) => {
                    result.push_str(before);
                    result.push_str(&value);
                }
                // Part of a text that cannot be told: neither can the text.
                value => return Ok(value),
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(Value::String(result))
    }
}

/// The value of a parameter: what is given, else its default, read as its type says.
fn parameter(declaration: &Node, given: Option<&str>) -> Result<Value, &'static str> {
    let allowed = declaration.get("AllowedValues").map(Node::items);
    let value = match (given, declaration.get("Default")) {
        (Some(given), _) => Node::Text(given.to_owned()),
        (None, Some(default)) => default.clone(),
        (None, None) => return Err("is missing"),
    };
    if allowed.is_some_and(|allowed| !allowed.contains(&value)) {
        return Err("is not one of the values that are allowed");
    }
    match (declaration.get("Type").and_then(Node::text), value) {
        (Some("String"), Node::Text(text)) if given.is_none() || !text.is_empty() => Ok(Value::String(text)),
        (Some("Number"), Node::Integer(number)) => Ok(Value::from(number)),
        (Some("CommaDelimitedList"), Node::Text(text)) if !text.is_empty() => {
            Ok(Value::Array(text.split(',').map(Value::from).collect()))
        }
        (Some("String" | "CommaDelimitedList"), Node::Text(_)) => Err("is empty"),
        _ => Err("has another type than its value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEMPLATE: &str = r#"
Parameters:
  FrontEndUrl: { Type: String }
  AllowedOrigins: { Type: CommaDelimitedList }
  Issuer: { Type: String }
  MailFrom: { Type: String }
  LogLevel: { Type: String, AllowedValues: [info, debug], Default: info }
  ArchiveKeyId: { Type: String, Default: "" }
  TrustedArchiveKeys: { Type: String, Default: "" }
  Concurrency: { Type: Number, Default: 50 }
Conditions:
  Debugs: !Equals [!Ref LogLevel, debug]
  Quiet: !Not [!Equals [!Ref LogLevel, debug]]
Resources:
  Queue:
    Type: AWS::SQS::Queue
  Role:
    Type: AWS::IAM::Role
  Probe:
    Type: AWS::SQS::Queue
    Condition: Debugs
    Properties:
      Reference: !Ref Queue
      Attribute: !GetAtt Queue.Arn
      Text: !Sub "arn:${AWS::Partition}:x:${AWS::Region}:${Queue.Arn}/*"
      List: !Join [",", !Ref AllowedOrigins]
      Number: !Ref Concurrency
      Elsewhere: !Sub "${Role.Arn}/x"
      Chosen: !If [Debugs, 1, 2]
      LeftOut: !If [Quiet, 1, !Ref AWS::NoValue]
  Silent:
    Type: AWS::SQS::Queue
    Condition: Quiet
"#;

    fn given() -> ProvisionParameters {
        ProvisionParameters {
            prefix: "demo".into(),
            front_end_url: "https://a.example.org".into(),
            allowed_origins: vec!["https://a.example.org".into(), "https://b.example.org".into()],
            issuer: "https://i.example.org".into(),
            mail_from: "privacy@example.org".into(),
            log_level: "debug".into(),
            archive_key_id: String::new(),
            trusted_archive_keys: String::new(),
        }
    }

    fn named<'t>(template: &'t Template, logical_id: &str) -> &'t Resource {
        template
            .resources()
            .iter()
            .find(|resource| resource.logical_id == logical_id)
            .unwrap()
    }

    #[test]
    fn expressions_have_the_values_that_cloudformation_gives_them() {
        let template = Template::parse(TEMPLATE).unwrap();
        let mut evaluator = Evaluator::new(&template, &given()).unwrap();
        let made = Made {
            reference: "url".into(),
            attributes: BTreeMap::from([("Arn", "arn:q".into())]),
        };
        evaluator.add("Queue".into(), made);

        let (value, missing) = evaluator.properties(named(&template, "Probe")).unwrap();
        let expected = json!({
            "Reference": "url",
            "Attribute": "arn:q",
            "Text": "arn:aws:x:eu-west-1:arn:q/*",
            "List": "https://a.example.org,https://b.example.org",
            "Number": 50,
            "Elsewhere": { "not made here": "Role" },
            "Chosen": 1,
        });
        assert_eq!(value, expected);
        assert_eq!(missing, Missing::from(["Role".to_owned()]));
        assert!(evaluator.holds(named(&template, "Probe")).unwrap());
        assert!(!evaluator.holds(named(&template, "Silent")).unwrap());
    }

    #[test]
    fn what_the_template_does_not_say_is_an_error() {
        let template = Template::parse(TEMPLATE).unwrap();
        let evaluator = Evaluator::new(&template, &given()).unwrap();
        for expression in [
            "!Ref Nothing",
            "!Select [0, [a]]",
            "!GetAtt Queue",
            "!Sub \"${Queue\"",
            "!Ref [a]",
        ] {
            let node = Node::parse(expression).unwrap();
            assert!(evaluator.value(&node).is_err(), "{expression}");
        }
    }

    #[test]
    fn a_parameter_that_nobody_gives_is_named() {
        let template =
            Template::parse(&TEMPLATE.replace("  Issuer:", "  Portal: { Type: String }\n  Issuer:"));
        let error = Evaluator::new(&template.unwrap(), &given()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "parameter `Portal` of the template: is missing"
        );

        let template = Template::parse(&TEMPLATE.replace("  Issuer: { Type: String }\n", ""));
        let error = Evaluator::new(&template.unwrap(), &given()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "parameter `Issuer` of the template: is given, but not declared"
        );
    }
}
