//! The AWS endpoint of a stack, as an operator could look into it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use oubli_tests::Stack;

/// An environment variable of the function `api`.
pub(crate) fn setting(stack: &Stack, name: &str) -> String {
    stack.runner.provisioned().environment["api"][name].clone()
}

/// An item of a table or an index: its partition, and all of it as text.
pub(crate) type Row = (String, String);

/// All items of a table, or of one of its indexes.
pub(crate) async fn rows(stack: &Stack, table: &str, index: Option<&str>) -> Vec<Row> {
    let client = aws_sdk_dynamodb::Client::new(&stack.aws().await);
    let (mut rows, mut start) = (Vec::new(), None);
    loop {
        let page = client
            .scan()
            .table_name(setting(stack, table))
            .set_index_name(index.map(str::to_owned))
            .set_exclusive_start_key(start)
            .send()
            .await
            .unwrap();
        for item in page.items() {
            let partition = match &item["pk"] {
                AttributeValue::S(partition) => partition.clone(),
                other => panic!("{other:?}"),
            };
            rows.push((partition, written(&AttributeValue::M(item.clone()))));
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return rows;
        }
    }
}

/// A value in full, the same for the same value.
fn written(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(fields) => {
            let fields: BTreeMap<_, _> = fields
                .iter()
                .map(|(name, value)| (name, written(value)))
                .collect();
            format!("{fields:?}")
        }
        AttributeValue::L(values) => format!("{:?}", values.iter().map(written).collect::<Vec<_>>()),
        value => format!("{value:?}"),
    }
}
