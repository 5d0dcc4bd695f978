//! DynamoDB: all or nothing.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete, Get, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactGetItem,
    TransactWriteItem, Update,
};

use crate::aws::{Aws, declare_checks};
use crate::tables::{key, number, text};

declare_checks! {
    all_writes_of_a_transaction_happen: "DynamoDB.TransactWriteItems";
    a_refused_transaction_shows_which_write_and_why: "DynamoDB.TransactWriteItems";
    the_same_token_is_the_same_transaction: "DynamoDB.TransactWriteItems";
    transactions_over_one_item_are_counted_once_each: "DynamoDB.TransactWriteItems";
    items_are_read_as_they_were_at_one_instant: "DynamoDB.TransactGetItems";
}

fn put(table: &str, pk: &str, sk: &str) -> TransactWriteItem {
    let mut item = key(pk, sk);
    item.insert("n".to_owned(), number(1));
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(OnFailure::AllOld);
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

fn add(table: &str, pk: &str, sk: &str) -> TransactWriteItem {
    let update = Update::builder()
        .table_name(table)
        .set_key(Some(key(pk, sk)))
        .update_expression("SET n = n + :one")
        .expression_attribute_values(":one", number(1));
    TransactWriteItem::builder()
        .update(update.build().unwrap())
        .build()
}

fn check(table: &str, pk: &str, sk: &str, n: i64) -> TransactWriteItem {
    let check = ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(key(pk, sk)))
        .condition_expression("n = :n")
        .expression_attribute_values(":n", number(n))
        .return_values_on_condition_check_failure(OnFailure::AllOld);
    TransactWriteItem::builder()
        .condition_check(check.build().unwrap())
        .build()
}

async fn all_writes_of_a_transaction_happen(aws: Arc<Aws>) {
    let (contacts, requests, pk) = (aws.contacts(), aws.requests(), aws.name("T#all"));
    for sk in ["count", "old", "seen"] {
        aws.set(requests, &pk, sk, &[("n", number(1))]).await;
    }
    let delete = Delete::builder()
        .table_name(requests)
        .set_key(Some(key(&pk, "old")))
        .condition_expression("attribute_exists(pk)")
        .build()
        .unwrap();
    // Two tables in one.
    let request = aws
        .tables
        .transact_write_items()
        .transact_items(put(contacts, &pk, "new"))
        .transact_items(add(requests, &pk, "count"))
        .transact_items(TransactWriteItem::builder().delete(delete).build())
        .transact_items(check(requests, &pk, "seen", 1));
    request.send().await.unwrap();
    assert!(aws.read(contacts, &pk, "new").await.is_some());
    assert_eq!(aws.read(requests, &pk, "count").await.unwrap()["n"], number(2));
    assert_eq!(aws.read(requests, &pk, "old").await, None);
}

async fn a_refused_transaction_shows_which_write_and_why(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#refused"));
    aws.set(
        table,
        &pk,
        "taken",
        &[("n", number(7)), ("by", text("attempt-1"))],
    )
    .await;
    let request = aws
        .tables
        .transact_write_items()
        .transact_items(put(table, &pk, "new"))
        .transact_items(put(table, &pk, "taken"))
        .transact_items(check(table, &pk, "absent", 1));
    let error = request.send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}")
    };
    let reasons = cancelled.cancellation_reasons();
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(
        codes,
        ["None", "ConditionalCheckFailed", "ConditionalCheckFailed"]
    );
    assert_eq!(reasons[1].item.as_ref().unwrap()["by"], text("attempt-1"));
    assert!(reasons[2].item.as_ref().is_none_or(|item| item.is_empty()));
    assert_eq!(aws.read(table, &pk, "new").await, None);
}

/// The SDK sends a token with every transaction: when an answer is lost, it asks again with the same.
async fn the_same_token_is_the_same_transaction(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#token"));
    aws.set(table, &pk, "count", &[("n", number(0))]).await;
    let token = format!("{pk}-{}", std::process::id());
    for _ in 0..2 {
        let request = aws.tables.transact_write_items().client_request_token(&token);
        let request = request.transact_items(add(table, &pk, "count"));
        request.send().await.unwrap();
    }
    assert_eq!(aws.read(table, &pk, "count").await.unwrap()["n"], number(1));
}

async fn transactions_over_one_item_are_counted_once_each(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#race"));
    aws.set(table, &pk, "count", &[("n", number(0))]).await;
    let race = (0..16).map(|index| {
        let (aws, pk) = (aws.clone(), pk.clone());
        tokio::spawn(async move {
            let table = aws.requests();
            let request = aws
                .tables
                .transact_write_items()
                .transact_items(put(table, &pk, &format!("done-{index}")))
                .transact_items(add(table, &pk, "count"));
            match request.send().await {
                Ok(_) => 1,
                // Two at once: one of them may be told to come again.
                Err(error) => match error.into_service_error() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        let reasons = cancelled.cancellation_reasons().iter();
                        let codes: Vec<_> = reasons.filter_map(|reason| reason.code()).collect();
                        assert!(codes.contains(&"TransactionConflict"), "{codes:?}");
                        0
                    }
                    error => panic!("{error:?}"),
                },
            }
        })
    });
    let mut happened = 0;
    for one in race.collect::<Vec<_>>() {
        happened += one.await.unwrap();
    }
    assert!(happened > 0);
    assert_eq!(
        aws.read(table, &pk, "count").await.unwrap()["n"],
        number(happened)
    );
}

/// Transactions change two items alike, and none who reads both sees them differ.
async fn items_are_read_as_they_were_at_one_instant(aws: Arc<Aws>) {
    let (table, pk) = (aws.requests(), aws.name("T#together"));
    for sk in ["a", "b"] {
        aws.set(table, &pk, sk, &[("n", number(0))]).await;
    }
    let writer = {
        let (aws, pk) = (aws.clone(), pk.clone());
        tokio::spawn(async move {
            for _ in 0..20 {
                let request = aws.tables.transact_write_items();
                let request = request.transact_items(add(aws.requests(), &pk, "a"));
                let request = request.transact_items(add(aws.requests(), &pk, "b"));
                request.send().await.unwrap();
            }
        })
    };
    loop {
        let is_last = writer.is_finished();
        let mut request = aws.tables.transact_get_items();
        for sk in ["b", "absent", "a"] {
            let get = Get::builder().table_name(table).set_key(Some(key(&pk, sk)));
            let get = TransactGetItem::builder().get(get.build().unwrap()).build();
            request = request.transact_items(get);
        }
        // What meets a write is cancelled, and asked for again.
        let Ok(answer) = request.send().await else {
            assert!(!is_last, "there is nothing to meet any more");
            continue;
        };
        let found: Vec<_> = answer.responses().iter().map(|found| found.item()).collect();
        assert_eq!(found.len(), 3);
        assert!(found[1].is_none_or(|item| item.is_empty()));
        let n = |index: usize| found[index].unwrap()["n"].clone();
        assert_eq!(n(0), n(2));
        if is_last {
            assert_eq!(n(0), number(20));
            break;
        }
    }
    writer.await.unwrap();
}
