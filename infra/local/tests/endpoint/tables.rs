//! What DynamoDB refuses, over the wire.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, Get, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    Projection, ProjectionType, Put, ScalarAttributeType, TransactGetItem, TransactWriteItem,
};
use oubli_local::engines::Engines;

use super::support::{dynamodb, ephemeral};

const KIB: usize = 1_024;
const TABLE: &str = "rules";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn schema(name: &str, kind: KeyType) -> KeySchemaElement {
    let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
    element.build().unwrap()
}

/// A table with partition and sort key, and an index of which the partition key is `by`.
async fn table(engines: &Engines) -> Client {
    let client = dynamodb(engines, "tests");
    let attribute = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let all = Projection::builder().projection_type(ProjectionType::All).build();
    let index = GlobalSecondaryIndex::builder()
        .index_name("by_other")
        .key_schema(schema("by", KeyType::Hash))
        .projection(all);
    let request = client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest);
    let request = request
        .key_schema(schema("pk", KeyType::Hash))
        .key_schema(schema("sk", KeyType::Range))
        .set_attribute_definitions(Some(["pk", "sk", "by"].map(attribute).to_vec()))
        .global_secondary_indexes(index.build().unwrap());
    request.send().await.unwrap();
    client
}

/// Writes an item; answers the code of the refusal.
async fn put(client: &Client, pk: &str, sk: &str, values: &[(&str, AttributeValue)]) -> Result<(), String> {
    let mut request = client
        .put_item()
        .table_name(TABLE)
        .item("pk", text(pk))
        .item("sk", text(sk));
    for (name, value) in values {
        request = request.item(*name, value.clone());
    }
    let sent = request.send().await;
    sent.map(|_| ())
        .map_err(|error| error.code().unwrap_or_default().to_owned())
}

#[track_caller]
fn assert_invalid(refused: Result<(), String>) {
    assert_eq!(refused, Err("ValidationException".to_owned()));
}

/// An item of exactly so many bytes: its names and values.
async fn put_bytes(client: &Client, sk: &str, bytes: usize) -> Result<(), String> {
    let rest = bytes - "pk".len() - "p".len() - "sk".len() - sk.len() - "x".len();
    put(
        client,
        "p",
        sk,
        &[("x", AttributeValue::B(Blob::new(vec![7; rest])))],
    )
    .await
}

#[tokio::test]
async fn an_item_has_400_kib() {
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    put_bytes(&client, "most", 400 * KIB).await.unwrap();
    assert_invalid(put_bytes(&client, "more", 400 * KIB + 1).await);
    // An update may not let it grow beyond either.
    let update = client
        .update_item()
        .table_name(TABLE)
        .key("pk", text("p"))
        .key("sk", text("most"));
    let update = update
        .update_expression("SET y = :y")
        .expression_attribute_values(":y", text("y"));
    assert_eq!(
        update.send().await.unwrap_err().code(),
        Some("ValidationException")
    );
}

#[tokio::test]
async fn keys_have_their_lengths_and_are_never_empty() {
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    put(&client, &"p".repeat(2_048), &"s".repeat(1_024), &[])
        .await
        .unwrap();
    assert_invalid(put(&client, &"p".repeat(2_049), "s", &[]).await);
    assert_invalid(put(&client, "p", &"s".repeat(1_025), &[]).await);
    assert_invalid(put(&client, "", "s", &[]).await);
    assert_invalid(put(&client, "p", "", &[]).await);
    // The key of an index too; other attributes may be empty.
    assert_invalid(put(&client, "p", "s", &[("by", text(""))]).await);
    assert_invalid(put(&client, "p", "s", &[("by", AttributeValue::N("1".to_owned()))]).await);
    put(&client, "p", "s", &[("other", text(""))]).await.unwrap();
}

#[tokio::test]
async fn a_number_has_38_digits_and_126_powers_of_ten() {
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    let number =
        async |value: &str| put(&client, "p", "s", &[("n", AttributeValue::N(value.to_owned()))]).await;
    for good in [&"9".repeat(38), "9.9e125", "1e-130", "-1e-130", "0"] {
        assert_eq!(number(good).await, Ok(()), "{good}");
    }
    for wrong in [&"9".repeat(39), "1e126", "1e-131", "NaN", "1,5", ""] {
        assert_invalid(number(wrong).await);
    }
}

#[tokio::test]
async fn sets_are_neither_empty_nor_repeat_a_value() {
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    let set = |values: &[&str]| AttributeValue::Ss(values.iter().map(|value| (*value).to_owned()).collect());
    put(&client, "p", "s", &[("set", set(&["a", "b"]))])
        .await
        .unwrap();
    assert_invalid(put(&client, "p", "s", &[("set", set(&[]))]).await);
    assert_invalid(put(&client, "p", "s", &[("set", set(&["a", "a"]))]).await);
}

#[tokio::test]
async fn reserved_words_need_a_name_and_every_name_is_used() {
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    let update = || {
        let update = client
            .update_item()
            .table_name(TABLE)
            .key("pk", text("p"))
            .key("sk", text("s"));
        update.expression_attribute_values(":v", text("v"))
    };
    for expression in ["SET name = :v", "SET #s.state = :v", "SET Year = :v"] {
        let mut request = update().update_expression(expression);
        if expression.contains('#') {
            request = request.expression_attribute_names("#s", "s1");
        }
        let refused = request.send().await.unwrap_err();
        assert_eq!(refused.code(), Some("ValidationException"), "{expression}");
        assert!(refused.message().unwrap().contains("reserved"), "{refused:?}");
    }
    let named = update()
        .update_expression("SET #name = :v")
        .expression_attribute_names("#name", "name");
    named.clone().send().await.unwrap();
    let unused = named.expression_attribute_names("#other", "other").send().await;
    assert_eq!(unused.unwrap_err().code(), Some("ValidationException"));
    let unused = update().update_expression("REMOVE x").send().await;
    assert_eq!(unused.unwrap_err().code(), Some("ValidationException"));
}

fn write(sk: &str, bytes: usize) -> TransactWriteItem {
    let put = Put::builder()
        .table_name(TABLE)
        .item("pk", text("p"))
        .item("sk", text(sk));
    let put = put.item("x", AttributeValue::B(Blob::new(vec![7; bytes])));
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

fn get(sk: &str) -> TransactGetItem {
    let get = Get::builder()
        .table_name(TABLE)
        .key("pk", text("p"))
        .key("sk", text(sk));
    TransactGetItem::builder().get(get.build().unwrap()).build()
}

#[tokio::test]
async fn a_transaction_has_100_items_and_4_mib_and_names_none_twice() {
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    let all = async |writes: Vec<TransactWriteItem>| {
        let sent = client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .await;
        sent.map(|_| ())
            .map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let many = |count: usize, bytes: usize| (0..count).map(|n| write(&n.to_string(), bytes)).collect();
    all(many(100, 1)).await.unwrap();
    assert_invalid(all(many(101, 1)).await);
    all(many(11, 370 * KIB)).await.unwrap();
    assert_invalid(all(many(12, 370 * KIB)).await);
    assert_invalid(all(vec![write("a", 1), write("a", 1)]).await);
    assert_invalid(all(Vec::new()).await);

    let read = async |sks: Vec<String>| {
        let gets = sks.iter().map(|sk| get(sk)).collect();
        let sent = client
            .transact_get_items()
            .set_transact_items(Some(gets))
            .send()
            .await;
        sent.map(|answer| answer.responses.unwrap_or_default().len())
            .map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let sks = |count: usize| (0..count).map(|number| number.to_string()).collect();
    assert_eq!(read(sks(11)).await, Ok(11));
    put_bytes(&client, "11", 370 * KIB).await.unwrap();
    assert_eq!(read(sks(12)).await, Err("ValidationException".to_owned()));
    let absent = |count: usize| (100..100 + count).map(|number| number.to_string()).collect();
    assert_eq!(read(absent(100)).await, Ok(100));
    assert_eq!(read(absent(101)).await, Err("ValidationException".to_owned()));
}

#[tokio::test]
async fn a_batch_reads_100_keys_and_16_mib_and_gives_back_the_rest() {
    use aws_sdk_dynamodb::types::KeysAndAttributes;
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    for number in 0..42 {
        put_bytes(&client, &number.to_string(), 399 * KIB).await.unwrap();
    }
    let read = async |count: usize| {
        let mut keys = KeysAndAttributes::builder();
        for number in 0..count {
            let key = [("pk", text("p")), ("sk", text(&number.to_string()))];
            keys = keys.keys(key.map(|(name, value)| (name.to_owned(), value)).into());
        }
        client
            .batch_get_item()
            .request_items(TABLE, keys.build().unwrap())
            .send()
            .await
    };
    let answer = read(42).await.unwrap();
    let found = answer.responses().unwrap()[TABLE].len();
    let rest = answer.unprocessed_keys().unwrap()[TABLE].keys().len();
    assert_eq!((found, rest), (41, 1));
    assert_eq!(read(101).await.unwrap_err().code(), Some("ValidationException"));
}

#[tokio::test]
async fn a_page_has_one_mib_before_it_is_filtered() {
    let (engines, _) = ephemeral().await;
    let client = table(&engines).await;
    for sk in ["a", "b", "c", "d"] {
        put_bytes(&client, sk, 300 * KIB).await.unwrap();
    }
    let query = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk = :p");
    let query = query.expression_attribute_values(":p", text("p"));
    let filtered = query.clone().filter_expression("sk_ = :p");
    for (query, found) in [(query, 3), (filtered, 0)] {
        let page = query.send().await.unwrap();
        assert_eq!(page.items().len(), found);
        assert_eq!(page.last_evaluated_key().unwrap()["sk"], text("c"));
    }
}
