//! What a user does not see tells nothing of itself, and is no trouble of its own.

use std::time::Duration;

use riskstream_engine::ids::{Epoch, Generation};
use riskstream_engine::protocol::{Origin, SinkMark};
use riskstream_engine::store::{EpochHeader, Store};

use super::lake::loans;
use super::*;
use crate::catalog::TableFact;
use crate::rules::Audit;

const USERS: &str = "
[roles.lender]
tables = [\"loans\", \"open\", \"lacks\", \"mine\"]
rows = [{ table = \"loans\", column = \"lender\", in = \"lender\" },
        { table = \"lacks\", column = \"nowhere\", in = \"lender\" },
        { table = \"mine\", column = \"lender\", in = \"lender\" }]
masks = [{ table = \"mine_now\", column = \"id\", as = \"null\" }]
[roles.starred]
tables = [\"*\"]
";

struct World {
    tried: Tried,
    audit: std::path::PathBuf,
}

impl World {
    /// Tables that the role `lender` sees in part (`loans`, `mine`), in whole (`open`), and not at
    /// all: `secrets`, and `lacks`, which has no column of its rule.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users.toml");
        std::fs::write(&users, USERS).unwrap();
        let rules = Rules::open(&users).map_err(|problems| problems.to_string()).unwrap();
        let revisions = TableFact {
            key: vec!["id".to_owned()],
            revision: Some("id".to_owned()),
            ..TableFact::default()
        };
        let tables = [("mine".to_owned(), revisions)].into_iter().collect();
        let audit = folder.path().join("audit");
        let settings = ServiceSettings {
            data: folder.path().to_owned(),
            tables,
            limits: Limits { threads: 2, ..Limits::default() },
            system: Arc::new(NoSystemTables),
            rules: Some(Arc::new(rules)),
            audit: Some(Arc::new(Audit::open(&audit).unwrap())),
        };
        let tried = Tried { service: QueryService::open(settings).unwrap(), folder };
        for table in ["loans", "open", "secrets", "lacks", "mine", "dead_letters"] {
            tried.land(table, 1, loans(0..10));
        }
        Self { tried, audit }
    }

    fn lender(&self) -> Session {
        self.of("lender")
    }

    fn of(&self, role: &str) -> Session {
        self.tried.service.session(User {
            name: "ann".to_owned(),
            roles: vec![role.to_owned()],
            attributes: [("lender".to_owned(), vec!["a".to_owned()])].into(),
        })
    }

    fn owner(&self) -> Session {
        self.tried.session()
    }

    /// A pipeline that has committed this epoch, without rows, and keeps no other; the `newest` one
    /// with rows for its table is 0 for none.
    fn store(&self, pipeline: &str, table: &str, epoch: u64, newest: u64) {
        let root = self.tried.folder.path().join("store").join(pipeline);
        std::fs::create_dir_all(root.parent().unwrap()).unwrap();
        let mut store = Store::open(&root).unwrap();
        store.recover(Epoch(0), Epoch(0)).unwrap();
        let header = EpochHeader {
            epoch: Epoch(epoch),
            generation: Generation(1),
            origin: Origin {
                program: "p".to_owned(),
                pipeline: pipeline.to_owned(),
                destinations: [("s".to_owned(), Some(format!("table {table}")))].into(),
            },
            sinks: [("s".to_owned(), SinkMark { newest: Epoch(newest), ..SinkMark::default() })]
                .into(),
            ..EpochHeader::default()
        };
        store.commit(&header, &[]).unwrap();
    }

    fn damage(&self, table: &str) {
        let log = self.tried.folder.path().join("tables").join(table).join("_delta_log");
        for entry in std::fs::read_dir(log).unwrap() {
            let path = entry.unwrap().path();
            std::fs::write(path, "{\"add\": tampered").unwrap();
        }
    }

    fn ask(&self, session: &mut Session, text: &str) -> Result<Vec<String>, QueryError> {
        self.tried.ask(session, text)
    }

    fn said(&self, session: &mut Session, text: &str) -> String {
        self.ask(session, text).unwrap_err().to_string()
    }

    /// What the audit has by now, from the end of the service on.
    fn records(self) -> Vec<serde_json::Value> {
        let Self { tried: Tried { service, folder }, audit } = self;
        drop(service);
        // The last thread of the service lets go of the audit.
        let began = std::time::Instant::now();
        while Audit::open(&audit).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = std::fs::read_to_string(audit.join("audit-000001.ndjson")).unwrap();
        drop(folder);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const COUNT: &str = "select count(*), min(lender) from loans";

#[test]
fn pipelines_are_known_by_the_tables_that_are_seen() {
    let world = World::new();
    world.store("of-loans", "loans", 3, 0);
    world.store("of-secrets", "secrets", 4, 0);
    world.store("of-lacks", "lacks", 5, 0);
    let (mut lender, mut owner) = (world.lender(), world.owner());
    for from in ["", " from loans limit 1"] {
        let asked = |session: &mut Session, call: &str| {
            world.ask(session, &format!("select {call}{from}")).map_err(|error| error.to_string())
        };
        assert_eq!(asked(&mut lender, "epoch()").unwrap(), ["3"], "{from}");
        assert_eq!(asked(&mut lender, "epoch('of-loans')").unwrap(), ["3"], "{from}");
        assert_eq!(asked(&mut owner, "epoch('of-secrets')").unwrap(), ["4"], "{from}");
        let absent = asked(&mut lender, "epoch('nix')").unwrap_err();
        assert!(absent.contains("of-loans") && !absent.contains("of-secrets"), "{absent}");
        for hidden in ["of-secrets", "of-lacks"] {
            let said = asked(&mut lender, &format!("epoch('{hidden}')")).unwrap_err();
            assert_eq!(said, absent.replace("nix", hidden));
        }
        assert!(asked(&mut owner, "epoch()").unwrap_err().contains("of-secrets"), "{from}");
    }
}

#[test]
fn what_is_not_seen_may_be_damaged_or_behind() {
    let world = World::new();
    world.store("of-loans", "loans", 3, 0);
    // Epoch 2 is neither in the table nor in the store.
    world.store("of-secrets", "secrets", 3, 2);
    world.store("of-lacks", "lacks", 3, 2);
    let check = |broken: &str| {
        for transaction in [false, true] {
            let mut lender = world.lender();
            if transaction {
                lender.begin();
            }
            let case = format!("{broken}, in a transaction: {transaction}");
            assert_eq!(world.ask(&mut lender, COUNT).expect(&case), ["5,a"], "{case}");
            for hidden in ["secrets", "lacks", "nix"] {
                let asked = world.ask(&mut lender, &format!("select * from {hidden}"));
                let is_absent = matches!(asked, Err(QueryError::UnknownTable { .. }));
                assert!(is_absent, "{case}: {hidden}: {asked:?}");
            }
        }
        let mut owner = world.owner();
        assert_eq!(world.ask(&mut owner, COUNT).unwrap(), ["10,a"], "{broken}");
        let asked = world.ask(&mut owner, "select * from secrets");
        assert!(asked.is_err(), "{broken}: who sees it is told");
    };
    check("behind");
    world.damage("secrets");
    world.damage("lacks");
    check("damaged");
}

#[test]
fn plans_and_functions_do_not_tell_where_files_are() {
    let world = World::new();
    let (mut lender, mut owner) = (world.lender(), world.owner());
    let data = world.tried.folder.path().to_str().unwrap().trim_start_matches('/').to_owned();
    for words in ["explain", "explain verbose", "explain analyze", "explain analyze verbose"] {
        for table in ["open", "loans", "open o join loans l using (id)"] {
            let text = format!("{words} select * from {table} where id > 3 order by id limit 2");
            let told = world.ask(&mut lender, &text).unwrap().join("\n");
            assert!(!told.contains(".parquet") && !told.contains(&data), "{text}\n{told}");
        }
        let told = world.ask(&mut owner, &format!("{words} select * from open")).unwrap();
        assert!(told.join("\n").contains(".parquet"), "{words}: the owner is told");
    }
    let told = world.ask(&mut lender, "explain select id from open").unwrap().join("\n");
    assert!(told.contains("file_groups={1 group: [[1]]}"), "{told}");
    for function in ["input_file_name()", "file_row_index()"] {
        let text = format!("select {function} from open");
        let said = world.said(&mut lender, &text);
        assert!(said.contains("Invalid function"), "{said}");
    }
    let files = world.ask(&mut owner, "select distinct input_file_name() from open").unwrap();
    assert!(files[0].contains(".parquet"), "{files:?}");
    // What is read is the same.
    for text in ["select count(*), sum(id) from open", "select id from open order by id limit 3"] {
        assert_eq!(world.ask(&mut lender, text).unwrap(), world.ask(&mut owner, text).unwrap());
    }
}

#[test]
fn a_function_that_is_not_there_is_told_of_in_the_same_way_each_time() {
    let world = World::new();
    let mut said: Vec<String> = (0..8)
        .map(|_| world.said(&mut world.lender(), "select no_such_function(id) from loans"))
        .collect();
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(world.said(&mut world.lender(), "select coun(id) from loans").contains("'count'"));
    for name in ["reg_oid", "_reg_oi", "reg_oi", "input_file_nam"] {
        let said = world.said(&mut world.lender(), &format!("select {name}(id) from loans"));
        assert!(!said.contains("mean '_") && !said.contains("mean 'input_file_name"), "{said}");
    }
}

#[test]
fn a_mask_of_the_key_makes_no_two_rows_one() {
    let world = World::new();
    let mut lender = world.lender();
    let count = "select count(*), count(id), min(lender) from mine_now";
    assert_eq!(world.ask(&mut lender, count).unwrap(), ["5,0,a"]);
    // What hides a value of the newest revisions hides it in the table.
    assert_eq!(world.ask(&mut lender, "select count(*), count(id) from mine").unwrap(), ["5,0"]);
}

#[test]
fn dead_letters_are_seen_by_whom_they_are_granted_by_name() {
    let world = World::new();
    let mut starred = world.of("starred");
    assert_eq!(world.ask(&mut starred, "select count(*) from secrets").unwrap(), ["10"]);
    let asked = world.ask(&mut starred, "select count(*) from dead_letters");
    assert!(matches!(asked, Err(QueryError::UnknownTable { .. })), "{asked:?}");
}

#[test]
fn the_audit_has_each_statement_once_and_what_it_read() {
    let world = World::new();
    let mut lender = world.lender();
    let run = |session: &mut Session, mark: &str, from: &str| {
        let _outcome = world.ask(session, &format!("select '{mark}', count(*){from}"));
    };
    run(&mut lender, "m01", " from loans");
    run(&mut lender, "m02", "");
    run(&mut lender, "m03", " from secrets");
    run(&mut lender, "m04", " from nix");
    run(&mut lender, "m05", " from (with secrets as (select 1) select * from secrets) s");
    run(&mut lender, "m06", " from open, mine_now");
    lender.begin();
    run(&mut lender, "m07", " from loans");
    run(&mut lender, "m08", " from secrets");
    lender.end();
    run(&mut lender, "m09", " from loans for version as of 0");
    let describe = |session: &mut Session, text: &str| {
        let statement = statement(text);
        world.tried.service.block_on(session.describe(&statement, &[])).is_ok()
    };
    assert!(!describe(&mut lender, "select 'm10' from secrets where 1 = $1"));
    assert!(describe(&mut lender, "select 'm11' from loans where id = $1"));
    let ended = lender.ended("insert into loans values ('m12')", SqlState::READ_ONLY);
    world.tried.service.block_on(ended).unwrap();
    // Its client goes while it is planned.
    let text = statement("select 'm13' from loans");
    let cancel = Cancel::default();
    world.tried.service.block_on(async {
        let run = lender.run(&text, &[], &cancel);
        let _gone = tokio::time::timeout(Duration::ZERO, run).await;
    });
    assert_eq!(lender.recorded(), 12);
    drop(lender);
    let records = world.records();
    let of = |mark: &str| -> Vec<(String, String, String)> {
        let of_mark = |r: &&serde_json::Value| r["statement"].to_string().contains(mark);
        let tables = |r: &serde_json::Value| r["tables"].to_string().replace(['[', ']', '"'], "");
        let policies = |r: &serde_json::Value| r["policies"].to_string();
        let outcome = |r: &serde_json::Value| r["outcome"].as_str().unwrap().to_owned();
        records.iter().filter(of_mark).map(|r| (outcome(r), tables(r), policies(r))).collect()
    };
    for (mark, outcome, tables) in [
        ("m01", "00000", "loans"),
        ("m02", "00000", ""),
        ("m03", "42P01", ""),
        ("m04", "42P01", ""),
        ("m05", "00000", ""),
        ("m06", "00000", "open,mine"),
        ("m07", "00000", "loans"),
        ("m08", "42P01", ""),
        ("m09", "00000", "loans"),
        ("m10", "42P01", ""),
        ("m12", "25006", ""),
    ] {
        let found = of(mark);
        assert_eq!(found.len(), 1, "{mark}: {found:?}");
        assert_eq!((found[0].0.as_str(), found[0].1.as_str()), (outcome, tables), "{mark}");
    }
    assert!(of("m01")[0].2.contains("lender in lender (a)"), "{:?}", of("m01"));
    assert!(of("m06")[0].2.contains("id as null"), "{:?}", of("m06"));
    assert!(of("m11").is_empty(), "what is described only is not asked");
    assert_eq!(of("m13").len(), 1, "who goes has asked all the same");
}

#[test]
fn records_are_for_the_programs_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.ask(&mut world.lender(), "select 1").unwrap();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.audit), 0o700);
    for entry in std::fs::read_dir(&world.audit).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
