use arrow_flight::Action;
use arrow_flight::sql::EndTransaction;
use bytes::Bytes;
use tonic::{Code, Status};

use super::world::*;

async fn count(client: &mut Client, transaction: Option<&Bytes>) -> Result<String, Status> {
    let text = "select count(*) from payments".to_owned();
    let info = client.execute(text, transaction.cloned()).await.map_err(status)?;
    Ok(shown(&fetch(client, &info).await?).join(""))
}

#[tokio::test]
async fn statements_of_a_transaction_see_one_moment() {
    let served = Served::new();
    let mut client = served.client().await;
    let transaction = client.begin_transaction().await.map_err(status).unwrap();
    assert_eq!(count(&mut client, Some(&transaction)).await.unwrap(), "10");
    served.pay(2, 10..15);
    assert_eq!(count(&mut client, Some(&transaction)).await.unwrap(), "10");
    assert_eq!(count(&mut client, None).await.unwrap(), "15");
    let text = "select count(*) from payments where id >= 0".to_owned();
    let prepared = client.prepare(text, Some(transaction.clone())).await;
    let mut prepared = prepared.map_err(status).unwrap();
    let info = prepared.execute().await.map_err(status).unwrap();
    assert_eq!(shown(&fetch(&mut client, &info).await.unwrap()), ["10"]);
    for way in [EndTransaction::Commit, EndTransaction::Rollback] {
        client.end_transaction(transaction.clone(), way).await.map_err(status).unwrap();
    }
    let refused = count(&mut client, Some(&transaction)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused}");
    // It goes on by itself.
    let info = prepared.execute().await.map_err(status).unwrap();
    assert_eq!(shown(&fetch(&mut client, &info).await.unwrap()), ["15"]);
    let refused = client.end_transaction(transaction, EndTransaction::Unspecified).await;
    assert_eq!(status(refused.unwrap_err()).code(), Code::InvalidArgument);
    for savepoint in ["BeginSavepoint", "EndSavepoint"] {
        let refused = act(&mut client, Action::new(savepoint, Bytes::new())).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_transaction_is_its_users_alone() {
    let served = Served::with(Setup::with_users());
    let (mut ann, mut bob) = (served.signed_in("ann").await, served.signed_in("bob").await);
    let transaction = ann.begin_transaction().await.map_err(status).unwrap();
    let refused = count(&mut bob, Some(&transaction)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    // What is not there has ended; that of another goes on.
    bob.end_transaction(transaction.clone(), EndTransaction::Commit).await.unwrap();
    assert_eq!(count(&mut ann, Some(&transaction)).await.unwrap(), "5");
}
