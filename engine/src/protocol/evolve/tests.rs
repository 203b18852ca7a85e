use super::*;

fn sum(name: &str, of: &str) -> Part {
    let value = format!("sum({of})");
    Part {
        role: "aggregate".into(),
        name: name.into(),
        pieces: vec![format!("add {of}")],
        value,
        start: Start::Later,
    }
}

fn window(label: &str, start: Start) -> Part {
    Part {
        role: "window".into(),
        name: label.into(),
        value: label.into(),
        pieces: vec![label.into()],
        start,
    }
}

fn shape(parts: &[Part]) -> Shape {
    let shape = Shape::new("aggregate").fact("by", "lender Utf8").fact("event time", "at");
    parts.iter().cloned().fold(shape, Shape::part)
}

fn taken(what: &str, how: Taking) -> Taken {
    Taken { what: what.into(), how }
}

fn refused(saved: &Shape, present: &Shape) -> Vec<String> {
    match decide_evolution(saved, present) {
        Evolution::Refused(differences) => differences.iter().map(Difference::to_string).collect(),
        other @ (Evolution::Same | Evolution::TakenWith(_)) => panic!("{other:?}"),
    }
}

#[test]
fn the_order_of_parts_does_not_matter() {
    let (a, b) = (sum("a", "x"), sum("b", "y"));
    assert_eq!(decide_evolution(&shape(&[a.clone(), b.clone()]), &shape(&[b, a])), Evolution::Same);
}

#[test]
fn each_difference_is_told() {
    let saved = shape(&[sum("a", "x"), sum("b", "y")]);
    let mut present = shape(&[sum("a", "z"), sum("b", "y")]);
    present.facts[0].value = "region Utf8".into();
    present.facts.push(Fact::new("late rows", "dead letters"));
    assert_eq!(
        refused(&saved, &present),
        [
            "by: was lender Utf8, is region Utf8",
            "late rows: is dead letters, was not there",
            "aggregate `a`: was sum(x), is sum(z)"
        ]
    );
    assert_eq!(
        refused(&saved, &Shape::new("features")),
        ["the kind of step: was aggregate, is features"]
    );
    present = saved.clone();
    present.facts.remove(1);
    assert_eq!(refused(&saved, &present), ["event time: was at, is gone"]);
}

#[test]
fn what_is_left_out_is_taken_and_what_is_added_when_it_can_begin_later() {
    let saved = shape(&[sum("a", "x"), sum("b", "y"), window("1d", Start::Later)]);
    let present = shape(&[
        sum("a", "x"),
        sum("again", "y"),
        sum("c", "z"),
        window("1d", Start::Later),
        window("7d", Start::Later),
    ]);
    let expected = vec![
        taken("aggregate `again`", Taking::Exactly),
        taken("aggregate `c`", Taking::Later),
        taken("window `7d`", Taking::Later),
        taken("aggregate `b`", Taking::Removed),
    ];
    assert_eq!(decide_evolution(&saved, &present), Evolution::TakenWith(expected));
    let present =
        shape(&[sum("a", "x"), window("1d", Start::Later), window("always by 1d", Start::Never)]);
    assert_eq!(
        refused(&saved, &present),
        ["window `always by 1d`: is always by 1d, was not there"]
    );
}

#[test]
fn a_name_is_never_taken_over_by_something_else() {
    let saved = shape(&[sum("a", "x"), sum("b", "y")]);
    assert_eq!(
        refused(&saved, &shape(&[sum("a", "y"), sum("b", "x")])),
        ["aggregate `a`: was sum(x), is sum(y)", "aggregate `b`: was sum(y), is sum(x)"]
    );
}

#[test]
fn columns_matter_as_far_as_both_read_them() {
    let with = |columns: &[(&str, &str)]| Shape {
        columns: columns.iter().map(|(n, v)| Fact::new(*n, *v)).collect(),
        ..shape(&[])
    };
    let saved = with(&[("column `fee`", "amount * 0.02"), ("column `gone`", "1")]);
    assert_eq!(
        decide_evolution(
            &saved,
            &with(&[("column `new`", "2"), ("column `fee`", "amount * 0.02")])
        ),
        Evolution::Same
    );
    assert_eq!(
        refused(&saved, &with(&[("column `fee`", "amount * 0.03")])),
        ["column `fee`: was amount * 0.02, is amount * 0.03"]
    );
}

#[test]
fn steps_come_and_go() {
    let shapes =
        |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), shape(&[]))).collect::<Shapes>();
    let decided = decide_evolutions(&shapes(&["a", "b"]), &shapes(&["b", "c"]));
    let decided: Vec<_> = decided.into_iter().collect();
    assert_eq!(
        decided,
        [
            ("a".to_owned(), StepEvolution::Gone),
            ("b".to_owned(), StepEvolution::Kept(Evolution::Same)),
            ("c".to_owned(), StepEvolution::New)
        ]
    );
}

#[test]
fn a_shape_is_the_same_after_it_was_written_down() {
    let mut shape = shape(&[sum("a", "x"), window("always by 1d", Start::Never)]);
    shape.columns.push(Fact::new("column `fee`", "amount * 0.02"));
    let json = serde_json::to_string(&shape).expect("plain data");
    assert_eq!(serde_json::from_str::<Shape>(&json).expect("as it was written"), shape);
}
