//! How wide the columns of a table are.

/// Columns are not cut below this.
const WIDTH_MIN: usize = 8;
/// What stands around a value: a bar and two spaces.
const AROUND: usize = 3;

/// Makes the widest columns narrower until a line is at most `width_max` wide. A column that must
/// stay whole does; where that is too much, lines are longer.
pub(super) fn fit(widths: &mut [usize], stay_whole: &[bool], width_max: usize) {
    let line = |widths: &[usize]| widths.iter().map(|width| width + AROUND).sum::<usize>() + 1;
    let mut too_much = line(widths).saturating_sub(width_max);
    while too_much > 0 {
        let can_shrink = |index: usize, width: usize| !stay_whole[index] && width > WIDTH_MIN;
        let widest = widths.iter().enumerate().filter(|(index, width)| can_shrink(*index, **width));
        let Some(widest) = widest.map(|(_, width)| *width).max() else { return };
        // Down to the next one that is not as wide, or as far as is needed.
        let next = widths
            .iter()
            .enumerate()
            .filter(|(index, width)| can_shrink(*index, **width) && **width < widest);
        let next = next.map(|(_, width)| *width).max().unwrap_or(WIDTH_MIN);
        let alike: Vec<usize> = widths
            .iter()
            .enumerate()
            .filter(|(index, width)| !stay_whole[*index] && **width == widest)
            .map(|(index, _)| index)
            .collect();
        let each = too_much.div_ceil(alike.len()).min(widest - next);
        for index in alike {
            let less = each.min(too_much);
            widths[index] -= less;
            too_much -= less;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn the_widest_columns_are_cut_until_all_fit() {
        for (widths, whole, width_max, expected) in [
            (vec![5, 5], vec![false, false], 80, vec![5, 5]),
            (vec![5, 100], vec![false, false], 40, vec![5, 28]),
            (vec![50, 100], vec![false, false], 40, vec![16, 17]),
            // A number stays whole.
            (vec![50, 100], vec![true, false], 70, vec![50, 13]),
            // It can't be: the others are as narrow as they get.
            (vec![50, 100, 9], vec![true, false, false], 40, vec![50, 8, 8]),
            (vec![3, 4], vec![false, false], 5, vec![3, 4]),
            (vec![], vec![], 0, vec![]),
        ] {
            let mut fitted = widths.clone();
            fit(&mut fitted, &whole, width_max);
            assert_eq!(fitted, expected, "{widths:?} in {width_max}");
        }
    }
}
