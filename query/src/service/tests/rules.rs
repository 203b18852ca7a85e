use super::lake::loans;
use super::*;

const LENDER: &str = "\n[roles.lender]\ntables = [\"loans\"]\n\
    rows = [{ table = \"*\", column = \"lender\", in = \"lender\" }]\n";

fn users(lender: &str, roles: &str) -> String {
    let password = crate::rules::verifier("secret").unwrap();
    format!(
        "[users.ann]\npassword = \"{password}\"\nroles = [{roles}]\n\
         attributes = {{ lender = \"{lender}\" }}\n{LENDER}"
    )
}

struct Ruled {
    tried: Tried,
    rules: Arc<Rules>,
    _folder: TempDir,
    file: std::path::PathBuf,
}

impl Ruled {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        std::fs::write(&file, users("a", "\"lender\"")).unwrap();
        let rules = Rules::open(&file).map_err(|problems| problems.to_string()).unwrap();
        let rules = Arc::new(rules);
        let tried = Tried::with(Limits::default(), Some(Arc::clone(&rules)));
        tried.land("loans", 1, loans(0..10));
        Self { tried, rules, _folder: folder, file }
    }

    fn session(&self) -> Session {
        self.tried.service.session(self.rules.user("ann").unwrap())
    }
}

const COUNT: &str = "select count(*), min(lender) from loans";

#[test]
fn a_change_of_the_file_is_in_force_at_the_next_statement() {
    let ruled = Ruled::new();
    let mut session = ruled.session();
    let count = statement(COUNT);
    ruled.tried.service.block_on(session.describe(&count, &[])).unwrap();
    assert_eq!(ruled.tried.ask(&mut session, COUNT).unwrap(), ["5,a"]);
    for (text, expected) in [
        (users("b", "\"lender\""), Some("5,b")),
        (users("a", "\"owner\""), Some("10,a")),
        (users("a", ""), None),
        (users("a", "\"lender\""), Some("5,a")),
        // The user is not there any more.
        (LENDER.to_owned(), None),
    ] {
        std::fs::write(&ruled.file, &text).unwrap();
        ruled.rules.reload().unwrap();
        let seen = ruled.tried.ask(&mut session, COUNT);
        match expected {
            Some(expected) => assert_eq!(seen.unwrap(), [expected], "{text}"),
            None => assert!(matches!(seen, Err(QueryError::UnknownTable { .. })), "{text}"),
        }
    }
}

#[test]
fn the_file_is_looked_at_without_being_asked() {
    let ruled = Ruled::new();
    let mut session = ruled.session();
    assert_eq!(ruled.tried.ask(&mut session, COUNT).unwrap(), ["5,a"]);
    std::fs::write(&ruled.file, users("b", "\"lender\"")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(ruled.tried.ask(&mut session, COUNT).unwrap(), ["5,b"]);
    assert_eq!(ruled.tried.service.counts().users_file_is_wrong, Some(false));
    std::fs::write(&ruled.file, "[users").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(ruled.tried.ask(&mut session, COUNT).unwrap(), ["5,b"]);
    assert_eq!(ruled.tried.service.counts().users_file_is_wrong, Some(true));
}

#[test]
fn who_comes_by_a_token_keeps_what_it_says() {
    let ruled = Ruled::new();
    let user = User {
        name: "of a token".to_owned(),
        roles: vec!["lender".to_owned()],
        attributes: [("lender".to_owned(), vec!["b".to_owned()])].into(),
    };
    let mut session = ruled.tried.service.session(user);
    assert_eq!(ruled.tried.ask(&mut session, COUNT).unwrap(), ["5,b"]);
    ruled.rules.reload().unwrap();
    assert_eq!(ruled.tried.ask(&mut session, COUNT).unwrap(), ["5,b"]);
}
