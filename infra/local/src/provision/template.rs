//! The stack's template, read.

use std::sync::OnceLock;

use super::ProvisionError;
use super::node::Node;

/// `template.yaml` as it was when this was built.
const TEXT: &str = include_str!("../../../../template.yaml");

/// A template: its parameters, conditions and resources.
#[derive(Clone, Debug)]
pub struct Template {
    root: Node,
    resources: Vec<Resource>,
}

/// A resource of a template.
#[derive(Clone, Debug)]
pub struct Resource {
    /// What the template calls it.
    pub logical_id: String,
    /// Its type: `AWS::SQS::Queue`.
    pub kind: String,
    /// The condition under which it is made.
    pub condition: Option<String>,
    /// Everything that the template says of it.
    pub node: Node,
}

impl Resource {
    /// A property, by its path.
    pub fn property(&self, path: &[&str]) -> Option<&Node> {
        self.node
            .get("Properties")
            .and_then(|properties| properties.at(path))
    }
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `GET`, `POST` …
    pub method: String,
    /// The path with its placeholders: `/v1/contacts/{contact_id}`.
    pub path: String,
}

impl Template {
    /// The project's own template, read once per process.
    ///
    /// # Errors
    /// [`ProvisionError::Template`] when it cannot be read.
    pub fn embedded() -> Result<&'static Self, ProvisionError> {
        static EMBEDDED: OnceLock<Template> = OnceLock::new();
        if let Some(template) = EMBEDDED.get() {
            return Ok(template);
        }
        let template = Self::parse(TEXT)?;
        Ok(EMBEDDED.get_or_init(|| template))
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`ProvisionError`] when it is no YAML or a resource has no type.
    pub fn parse(text: &str) -> Result<Self, ProvisionError> {
        let root = Node::parse(text)?;
        let resources = root.get("Resources").map(Node::entries).unwrap_or_default();
        let resources = resources.iter().map(|(logical_id, node)| {
            let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
            let kind = text("Type").ok_or_else(|| ProvisionError::Resource {
                resource: logical_id.clone(),
                detail: "has no type".into(),
            })?;
            let condition = text("Condition");
            Ok(Resource {
                logical_id: logical_id.clone(),
                kind,
                condition,
                node: node.clone(),
            })
        });
        let resources = resources.collect::<Result<_, _>>()?;
        Ok(Self { root, resources })
    }

    /// A part of the whole document, by its path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        self.root.at(path)
    }

    /// All resources, in the file's order.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The resources of one type.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        self.resources
            .iter()
            .filter(move |resource| resource.kind == kind)
    }

    /// The routes of the HTTP API, in the file's order.
    ///
    /// # Errors
    /// [`ProvisionError::Resource`] for a route key that is not `METHOD /path`.
    pub fn routes(&self) -> Result<Vec<Route>, ProvisionError> {
        let routes = self.of_kind("AWS::ApiGatewayV2::Route").map(|resource| {
            let key = resource
                .property(&["RouteKey"])
                .and_then(Node::text)
                .unwrap_or_default();
            match key.split_once(' ') {
                Some((method, path)) => Ok(Route {
                    method: method.to_owned(),
                    path: path.to_owned(),
                }),
                None => Err(ProvisionError::Resource {
                    resource: resource.logical_id.clone(),
                    detail: format!("`{key}` is no method and path"),
                }),
            }
        });
        routes.collect()
    }
}
