use super::*;

const SECRET: &str = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$\
                      YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=:\
                      YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";

fn problems(text: &str) -> Vec<(usize, usize, String)> {
    match parse(Path::new("users.toml"), &text.replace("SECRET", SECRET)) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            assert!(problems.to_string().contains("users.toml"), "{problems}");
            problems.places().into_iter().map(|(l, c, m)| (l, c, m.to_owned())).collect()
        }
    }
}

#[test]
fn a_whole_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mask.key"), [7; 32]).unwrap();
    let text = r#"
        mask_key = "mask.key"
        [users.acme]
        password = "SECRET"
        roles = ["lender", "owner"]
        attributes = { lender_id = ["17", 18], region = "north" }
        [jwt]
        issuer = "https://issuer.example"
        audience = "riskstream"
        keys = "https://issuer.example/jwks"
        attributes = { lender_id = "/org/lender" }
        [roles.lender]
        tables = ["lenders", "loans_*", "public.*"]
        rows = [{ table = "*", column = "lender_id", in = "lender_id" }]
        masks = [
            { table = "loans", column = "borrower", as = "null" },
            { table = "*", column = "iban", as = "last4" },
            { table = "*", column = "name", as = "***" },
            { table = "*", column = "id", as = "hash" },
        ]
        limits = { statement_timeout = "30s", rows = 1_000_000, statements = 4 }
    "#;
    let file = folder.path().join("users.toml");
    std::fs::write(&file, text.replace("SECRET", SECRET)).unwrap();
    let policy = read(&file).map_err(|problems| problems.to_string()).unwrap();
    assert_eq!(policy.users["acme"].attributes["lender_id"], ["17", "18"]);
    assert_eq!(policy.users["acme"].roles, ["lender", "owner"]);
    let role = &policy.roles["lender"];
    assert_eq!((role.tables.len(), role.rows.len(), role.masks.len()), (3, 1, 4));
    assert_eq!(role.limits.statement_timeout, Some(std::time::Duration::from_secs(30)));
    assert_eq!((role.limits.rows_max, role.limits.statements_max), (Some(1_000_000), Some(4)));
    let settings = policy.token_settings.unwrap();
    assert_eq!((settings.login.as_str(), settings.name.as_str()), ("token", "sub"));
    assert!(!settings.allow_owner);
}

#[test]
fn an_empty_file_is_one_in_which_nobody_is() {
    assert_eq!(problems(""), []);
}

#[test]
fn every_problem_has_its_place() {
    for (text, line, column, message) in [
        ("[roles.a]\ntabels = []", 2, 1, "role `a` has no key `tabels`"),
        ("user = 1", 1, 1, "the users file has no key `user`"),
        ("[roles.a]\ntables = [\"a.b.c\"]", 2, 11, "`a.b.c` is no pattern of tables"),
        ("[roles.a]\ntables = \"a\"", 2, 10, "`tables` is a string, not an array"),
        ("[roles.owner]\ntables = []", 1, 8, "the role `owner` is the program's own"),
        (
            "[roles.a]\nmasks = [{ table = \"t\", column = \"c\", as = \"nul\" }]",
            2,
            44,
            "no mask is called `nul`",
        ),
        (
            "[roles.a]\nmasks = [{ table = \"t\", column = \"c\", as = \"hash\" }]",
            2,
            44,
            "a hash without a key can be guessed",
        ),
        (
            "[roles.a]\nrows = [{ table = \"t\", column = \"c\" }]",
            2,
            9,
            "a rule of `rows` has no `in`",
        ),
        (
            "[roles.a]\nrows = [{ table = \"\", column = \"c\", in = \"d\" }]",
            2,
            19,
            "`table` is empty",
        ),
        ("[roles.a]\nlimits = { rows = 0 }", 2, 19, "`rows` is 0"),
        (
            "[roles.a]\nlimits = { statement_timeout = \"30\" }",
            2,
            32,
            "`statement_timeout` is `30`, which is no duration",
        ),
        (
            "[users.u]\npassword = \"hunter2\"",
            2,
            12,
            "the password of user `u` is no verifier: it does not begin as one",
        ),
        ("[users.u]\nroles = []", 1, 1, "user `u` has no `password`"),
        (
            "[users.u]\npassword = \"SECRET\"\nroles = [\"lendre\"]",
            3,
            10,
            "user `u` has the role `lendre`, which is not there",
        ),
        (
            "[users.u]\npassword = \"SECRET\"\nattributes = { a = [true] }",
            3,
            21,
            "a value of attribute `a` is a boolean, not a string",
        ),
        (
            "[users.u]\npassword = \"SECRET\"\nattributes = { a = \" \" }",
            3,
            20,
            "a value of attribute `a` is blank",
        ),
        (
            "[jwt]\nissuer = \"i\"\naudience = \"a\"\nkeys = \"http://x/y\"",
            4,
            8,
            "the keys can't be at `http://x/y`",
        ),
        (
            "[users.token]\npassword = \"SECRET\"\n[jwt]\nissuer = \"i\"\naudience = \"a\"\nkeys = \
          \"https://x/y\"",
            3,
            1,
            "`login` of `jwt` is `token`, which is a user",
        ),
        (
            "[jwt]\nissuer = \"i\"\naudience = \"a\"\nkeys = \"https://x\"\nallow_owner = 1",
            5,
            15,
            "`allow_owner` is an integer, not true or false",
        ),
    ] {
        assert_eq!(problems(text), [(line, column, message.to_owned())], "{text}");
    }
    let syntax = problems("[roles.a\n");
    assert!(syntax[0].2.starts_with("not valid TOML"), "{syntax:?}");
    assert_eq!(problems("a = 1\nb = 2").len(), 2);
}

#[test]
fn a_password_is_never_shown() {
    let Err(problems) = parse(Path::new("u"), "[users.u]\npassword = \"hunter2\"\n") else {
        panic!("it is no verifier");
    };
    let text = problems.to_string();
    assert!(text.contains("no verifier") && !text.contains("hunter2"), "{text}");
    let Err(problems) = parse(Path::new("u"), "users.u = { password = \"hunter2\", role = 1 }")
    else {
        panic!("there is no `role`");
    };
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}

#[test]
fn no_text_makes_it_panic() {
    let text = "[users.u]\npassword = \"SECRET\"\nattributes = { ä = \"ö\" }\n[roles.a]\n\
                tables = [\"ü*\"]\nlimits = { rows = 1 }\n[jwt]\nkeys = \"k\"\n";
    for at in 0..text.len() {
        for with in ["", "\"", "[", "é", "=", "\0", "9999999999999999999999"] {
            let mut mutated = text.to_owned();
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                mutated.replace_range(at..=at, with);
            }
            let _ = parse(Path::new("u"), &mutated).map_err(|problems| problems.to_string());
        }
    }
}
