//! DynamoDB: single items, batches and queries.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure, Select,
};

use crate::aws::{Aws, declare_checks};

pub(crate) type Item = HashMap<String, AttributeValue>;

declare_checks! {
    an_item_is_read_as_it_was_written: "DynamoDB.GetItem" "DynamoDB.UpdateItem";
    a_refused_update_shows_the_item_and_changes_nothing: "DynamoDB.UpdateItem";
    a_set_is_changed_text_by_text_and_goes_when_empty: "DynamoDB.UpdateItem";
    deleting_what_is_absent_is_fine: "DynamoDB.DeleteItem";
    a_batch_leaves_out_what_is_absent: "DynamoDB.BatchGetItem";
    a_partition_is_read_in_order_and_in_pages: "DynamoDB.Query";
    a_large_partition_is_cut_at_one_mebibyte: "DynamoDB.Query";
    an_index_holds_what_has_its_keys_and_no_more: "DynamoDB.Query" "DynamoDB.UpdateItem";
    a_page_of_an_index_begins_after_a_key_that_was_put_together: "DynamoDB.Query";
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

impl Aws {
    /// Writes an attribute of an item, as a plain update.
    pub(crate) async fn set(&self, table: &str, pk: &str, sk: &str, values: &[(&str, AttributeValue)]) {
        let parts: Vec<_> = (0..values.len())
            .map(|index| format!("#n{index} = :v{index}"))
            .collect();
        let mut request = self
            .tables
            .update_item()
            .table_name(table)
            .set_key(Some(key(pk, sk)))
            .update_expression(format!("SET {}", parts.join(", ")));
        for (index, (name, value)) in values.iter().enumerate() {
            request = request
                .expression_attribute_names(format!("#n{index}"), *name)
                .expression_attribute_values(format!(":v{index}"), value.clone());
        }
        request.send().await.unwrap();
    }

    pub(crate) async fn read(&self, table: &str, pk: &str, sk: &str) -> Option<Item> {
        let request = self.tables.get_item().table_name(table).consistent_read(true);
        request.set_key(Some(key(pk, sk))).send().await.unwrap().item
    }
}

async fn an_item_is_read_as_it_was_written(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#get"));
    assert_eq!(aws.read(table, &pk, "A").await, None);
    let values = [
        ("name", text("Lefèvre 🦀")),
        ("size", number(i64::MAX)),
        ("yes", AttributeValue::Bool(true)),
        (
            "map",
            AttributeValue::M(HashMap::from([(
                "x".to_owned(),
                AttributeValue::L(vec![text("")]),
            )])),
        ),
    ];
    aws.set(table, &pk, "A", &values).await;
    let item = aws.read(table, &pk, "A").await.unwrap();
    for (name, value) in values {
        assert_eq!(item[name], value, "{name}");
    }
    assert_eq!(item.len(), 6);
}

async fn a_refused_update_shows_the_item_and_changes_nothing(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#update"));
    aws.set(table, &pk, "A", &[("version", number(1)), ("gone", text("x"))])
        .await;
    let update = |expected: i64, sk: &str| {
        aws.tables
            .update_item()
            .table_name(table)
            .set_key(Some(key(&pk, sk)))
            .update_expression("SET #v = #v + :one REMOVE gone")
            .condition_expression("#v = :expected")
            .expression_attribute_names("#v", "version")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expected", number(expected))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    };
    let new = update(1, "A").send().await.unwrap().attributes.unwrap();
    assert_eq!((&new["version"], new.get("gone")), (&number(2), None));
    // The very same again: its answer might have been lost.
    for (sk, there) in [("A", true), ("absent", false)] {
        let error = update(1, sk).send().await.unwrap_err().into_service_error();
        let UpdateItemError::ConditionalCheckFailedException(refused) = error else {
            panic!("{error:?}")
        };
        let shown = refused.item.filter(|item| !item.is_empty());
        assert_eq!(
            shown.map(|item| item["version"].clone()),
            there.then(|| number(2))
        );
    }
    assert_eq!(aws.read(table, &pk, "A").await.unwrap()["version"], number(2));
    assert_eq!(aws.read(table, &pk, "absent").await, None);
}

async fn a_set_is_changed_text_by_text_and_goes_when_empty(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#set"));
    aws.set(table, &pk, "A", &[("n", number(1))]).await;
    for (verb, texts, left) in [
        ("ADD", vec!["x"], Some(vec!["x"])),
        ("ADD", vec!["x", "y"], Some(vec!["x", "y"])),
        ("DELETE", vec!["x", "z"], Some(vec!["y"])),
        ("DELETE", vec!["y"], None),
        ("DELETE", vec!["y"], None),
    ] {
        let texts = texts.into_iter().map(str::to_owned).collect();
        let request = aws.tables.update_item().table_name(table);
        let request = request.set_key(Some(key(&pk, "A")));
        let request = request.update_expression(format!("{verb} #texts :texts"));
        let request = request.expression_attribute_names("#texts", "texts");
        let request = request.expression_attribute_values(":texts", AttributeValue::Ss(texts));
        request.send().await.unwrap();
        let item = aws.read(table, &pk, "A").await.unwrap();
        let mut found = item.get("texts").map(|texts| texts.as_ss().unwrap().clone());
        found.iter_mut().for_each(|texts| texts.sort());
        let left = left.map(|texts| texts.into_iter().map(str::to_owned).collect());
        assert_eq!(found, left, "{verb}");
    }
}

async fn deleting_what_is_absent_is_fine(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#delete"));
    aws.set(table, &pk, "A", &[("x", number(1))]).await;
    for _ in 0..2 {
        let request = aws.tables.delete_item().table_name(table);
        request.set_key(Some(key(&pk, "A"))).send().await.unwrap();
        assert_eq!(aws.read(table, &pk, "A").await, None);
    }
}

async fn a_batch_leaves_out_what_is_absent(aws: Arc<Aws>) {
    let (table, pk) = (aws.contacts(), aws.name("T#batch"));
    for sk in ["A", "B"] {
        aws.set(table, &pk, sk, &[("x", text(sk))]).await;
    }
    let keys = ["A", "absent", "B"].map(|sk| key(&pk, sk)).to_vec();
    let wanted = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .build()
        .unwrap();
    let request = aws.tables.batch_get_item().request_items(table, wanted);
    let answer = request.send().await.unwrap();
    assert!(answer.unprocessed_keys.unwrap_or_default().is_empty());
    let mut found: Vec<_> = answer.responses.unwrap()[table]
        .iter()
        .map(|item| item["x"].as_s().unwrap().clone())
        .collect();
    found.sort();
    assert_eq!(found, ["A", "B"]);
}

async fn a_partition_is_read_in_order_and_in_pages(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#query"));
    for sk in ["ITEM#10", "ITEM#2", "ITEM#é", "OTHER", "ITEM#1"] {
        aws.set(table, &pk, sk, &[("n", number(sk.len() as i64))]).await;
    }
    let query = || {
        aws.tables
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(&pk))
            .expression_attribute_values(":prefix", text("ITEM#"))
            .consistent_read(true)
    };
    let sort_keys = |items: &[Item]| -> Vec<String> {
        items
            .iter()
            .map(|item| item["sk"].as_s().unwrap().clone())
            .collect()
    };
    let first = query().limit(3).send().await.unwrap();
    assert_eq!(sort_keys(first.items()), ["ITEM#1", "ITEM#10", "ITEM#2"]);
    let second = query().set_exclusive_start_key(first.last_evaluated_key);
    let second = second.send().await.unwrap();
    assert_eq!(sort_keys(second.items()), ["ITEM#é"]);
    assert_eq!(second.last_evaluated_key, None);
    let backwards = query().scan_index_forward(false).limit(1).send().await.unwrap();
    assert_eq!(sort_keys(backwards.items()), ["ITEM#é"]);
    // What a filter drops was read all the same.
    let filtered = query()
        .limit(2)
        .filter_expression("n > :n")
        .expression_attribute_values(":n", number(6));
    let filtered = filtered.send().await.unwrap();
    assert_eq!(sort_keys(filtered.items()), ["ITEM#10"]);
    assert!(filtered.last_evaluated_key.is_some());
    let counted = query().select(Select::Count).send().await.unwrap();
    assert_eq!((counted.count, counted.items().len()), (4, 0));
}

async fn a_large_partition_is_cut_at_one_mebibyte(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#large"));
    let large = "x".repeat(300_000);
    for index in 0..5 {
        aws.set(table, &pk, &format!("ITEM#{index}"), &[("large", text(&large))])
            .await;
    }
    let (mut after, mut pages, mut seen) = (None, 0, 0);
    loop {
        let query = aws
            .tables
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(&pk))
            .set_exclusive_start_key(after);
        let page = query.send().await.unwrap();
        pages += 1;
        seen += page.items().len();
        after = page.last_evaluated_key;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen), (2, 5));
}

async fn an_index_holds_what_has_its_keys_and_no_more(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#sparse"));
    let shard = aws.name("OPEN");
    aws.set(table, &pk, "closed", &[("state", text("x"))]).await;
    let open = [
        ("state", text("x")),
        ("open_work_pk", text(&shard)),
        ("open_work_sk", text("2026-11-21T12:00:00.000Z#1")),
    ];
    aws.set(table, &pk, "open", &open).await;
    let due = || {
        aws.tables
            .query()
            .table_name(table)
            .index_name("open_work")
            .key_condition_expression("open_work_pk = :pk AND open_work_sk < :until")
            .expression_attribute_values(":pk", text(&shard))
    };
    let at = |until: &str| due().expression_attribute_values(":until", text(until)).send();
    assert_eq!(at("2026-11-21T12:00:00.000Z").await.unwrap().count, 0);
    let found = at("2026-11-21T12:00:00.000Z$").await.unwrap();
    assert_eq!(found.items()[0]["sk"], text("open"));
    assert!(!found.items()[0].contains_key("state"), "keys only");
    let closing = aws.tables.update_item().table_name(table);
    let closing = closing
        .set_key(Some(key(&pk, "open")))
        .update_expression("REMOVE open_work_pk, open_work_sk");
    closing.send().await.unwrap();
    assert_eq!(at("2027").await.unwrap().count, 0);
}

/// Cursors name a contact, not a person: the key of the page before is put together anew.
async fn a_page_of_an_index_begins_after_a_key_that_was_put_together(aws: Arc<Aws>) {
    let (table, list) = (aws.contacts(), aws.name("T#list"));
    for name in ["adam", "benoît", "claire"] {
        let values = [
            ("by_name_pk", text(&list)),
            ("by_name_sk", text(name)),
            ("last_name", text(name)),
            ("notes", text("not in the list")),
        ];
        aws.set(table, &format!("{list}#C#{name}"), "CONTACT", &values)
            .await;
    }
    let mut after = key(&format!("{list}#C#adam"), "CONTACT");
    after.insert("by_name_pk".to_owned(), text(&list));
    after.insert("by_name_sk".to_owned(), text("adam"));
    let query = aws
        .tables
        .query()
        .table_name(table)
        .index_name("by_name")
        .key_condition_expression("by_name_pk = :pk")
        .expression_attribute_values(":pk", text(&list))
        .set_exclusive_start_key(Some(after));
    let page = query.send().await.unwrap();
    let names: Vec<_> = page.items().iter().map(|item| &item["last_name"]).collect();
    assert_eq!(names, [&text("benoît"), &text("claire")]);
    assert!(!page.items()[0].contains_key("notes"), "only what was projected");
}
