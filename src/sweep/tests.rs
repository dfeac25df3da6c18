//! Shapes, cells and places of sweeps, and what is wrong with them.

use super::*;

fn cfg() -> Config {
    Config::from_json(br#"{"n_layer":3,"n_head":2,"n_embd":8,"n_positions":8,"vocab_size":9}"#).unwrap()
}

fn sweep(grid: Grid, lengths: &[usize]) -> Sweep {
    let case = |len: &usize| Case { tokens: vec![1; *len], sources: Vec::new(), metric: Metric::Loss };
    Sweep { cases: lengths.iter().map(case).collect(), grid, write: Write::Zero }
}

fn site(site: Site, axes: &[Axis]) -> Sweep {
    sweep(Grid::Sites { sites: vec![site], stacked: false, axes: axes.to_vec() }, &[3])
}

fn stacked(sites: &[Site], axes: &[Axis]) -> Sweep {
    sweep(Grid::Sites { sites: sites.to_vec(), stacked: true, axes: axes.to_vec() }, &[3])
}

fn target(site: Site, layer: Option<usize>, place: Place) -> Target {
    Target { site, layer, place }
}

#[test]
fn an_absent_layer_is_all_layers() {
    let v = site(Site::V, &[Axis::Head]);
    assert_eq!(v.shape(&cfg()).unwrap(), [2]);
    let targets = v.targets(&cfg(), &[2], 1);
    let layers: Vec<_> = targets.iter().map(|(hook, place)| (hook.layer, place.head)).collect();
    assert_eq!(layers, [(0, Some(1)), (1, Some(1)), (2, Some(1))]);
    assert_eq!(site(Site::Embed, &[Axis::Pos]).targets(&cfg(), &[3], 0).len(), 1);
}

#[test]
fn cells_count_in_row_major_order() {
    let z = site(Site::Z, &[Axis::Layer, Axis::Head]);
    assert_eq!(z.axes(), ["layer", "head"]);
    let (hook, place) = z.targets(&cfg(), &[3, 2], 3)[0];
    assert_eq!((hook.layer, place.head), (1, Some(1)));
    assert_eq!(z.cells(&cfg()).unwrap(), 6);
}

#[test]
fn stacked_sites_are_the_first_axis_and_pos_is_dest_of_a_pattern() {
    let every = stacked(&[Site::Z, Site::Pattern], &[Axis::Layer, Axis::Pos, Axis::Head]);
    assert_eq!(every.axes(), ["site", "layer", "pos", "head"]);
    let shape = every.shape(&cfg()).unwrap();
    assert_eq!(shape, [2, 3, 3, 2]);
    // [0, 2, 1, 0] and [1, 2, 1, 0]
    let at = |cell| every.targets(&cfg(), &shape, cell);
    let head = Place { head: Some(0), ..Place::default() };
    assert_eq!(at(14), [(HookName { site: Site::Z, layer: 2 }, Place { pos: Some(1), ..head })]);
    let pattern = HookName { site: Site::Pattern, layer: 2 };
    assert_eq!(at(32), [(pattern, Place { dest: Some(1), ..head })]);
    assert_eq!(every.sites(), [Site::Pattern, Site::Z]);
}

#[test]
fn a_set_edits_all_its_places() {
    let head = Place { head: Some(1), ..Place::default() };
    let set = vec![target(Site::Z, Some(2), head), target(Site::MlpOut, None, Place::default())];
    let sets = sweep(Grid::Sets(vec![vec![set[0]], set]), &[3, 4]);
    assert_eq!((sets.axes(), sets.shape(&cfg()).unwrap()), (vec!["set"], vec![2]));
    let z = (HookName { site: Site::Z, layer: 2 }, head);
    assert_eq!(sets.targets(&cfg(), &[2], 0), [z]);
    let mlp = |layer| (HookName { site: Site::MlpOut, layer }, Place::default());
    assert_eq!(sets.targets(&cfg(), &[2], 1), [z, mlp(0), mlp(1), mlp(2)]);
}

#[test]
fn wrong_axes_are_errors() {
    for (wrong, code) in [
        (site(Site::ResidPre, &[Axis::Layer, Axis::Head]), "input.axes"),
        (site(Site::Pattern, &[Axis::Pos]), "input.axes"),
        (site(Site::Z, &[Axis::Head, Axis::Head]), "input.axes"),
        (site(Site::Embed, &[Axis::Layer]), "input.axes"),
        (stacked(&[Site::Z, Site::ResidPre], &[Axis::Head]), "input.axes"),
        (stacked(&[Site::Pattern], &[Axis::Pos, Axis::Dest]), "input.axes"),
        (stacked(&[Site::Z, Site::Z], &[Axis::Head]), "input.invalid"),
        (stacked(&[], &[Axis::Layer]), "input.invalid"),
    ] {
        assert_eq!(wrong.shape(&cfg()).unwrap_err().code, code, "{wrong:?}");
    }
}

#[test]
fn wrong_places_of_a_set_are_errors_that_name_them() {
    let place = Place::default();
    for (wrong, code, words) in [
        (vec![target(Site::Z, Some(3), place)], "input.place", "sets[1][0]: layer 3"),
        (vec![target(Site::Embed, Some(0), place)], "input.place", "embed has no axis 'layer'"),
        (vec![target(Site::Z, None, Place { head: Some(2), ..place })], "input.place", "head 2"),
        (vec![target(Site::Z, None, Place { pos: Some(3), ..place })], "input.place", "pos 3"),
        (vec![target(Site::Pattern, None, Place { pos: Some(0), ..place })], "input.place", "axis 'pos'"),
        (Vec::new(), "input.invalid", "sets[1]: is empty"),
    ] {
        let right = vec![target(Site::MlpOut, Some(0), place)];
        let error = sweep(Grid::Sets(vec![right, wrong]), &[3]).shape(&cfg()).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    let none = sweep(Grid::Sets(Vec::new()), &[3]).shape(&cfg()).unwrap_err();
    assert!(none.message.starts_with("sets: is empty"), "{none}");
}

#[test]
fn positions_need_prompts_of_equal_length() {
    let uneven = |grid| sweep(grid, &[3, 3, 4]).shape(&cfg());
    let axes = |axes: &[Axis]| Grid::Sites { sites: vec![Site::Z], stacked: false, axes: axes.to_vec() };
    assert_eq!(uneven(axes(&[Axis::Layer, Axis::Head])).unwrap(), [3, 2]);
    let error = uneven(axes(&[Axis::Layer, Axis::Pos])).unwrap_err();
    assert_eq!(error.code, "input.lengths_differ");
    assert!(error.message.contains("prompt 2 4") && error.message.contains("'pos'"), "{error}");
    let src = Place { src: Some(0), ..Place::default() };
    let error = uneven(Grid::Sets(vec![vec![target(Site::Pattern, None, src)]])).unwrap_err();
    assert_eq!(error.code, "input.lengths_differ");
}

#[test]
fn too_many_runs_are_refused() {
    let case = Case { tokens: vec![1; 3], sources: vec![vec![2; 3]; 30_000], metric: Metric::Loss };
    let grid = Grid::Sites { sites: vec![Site::Z], stacked: false, axes: Site::Z.axes().to_vec() };
    let mut sweep = Sweep { cases: vec![case; 2], grid, write: Write::Copy };
    assert_eq!(sweep.shape(&cfg()).unwrap_err().code, "input.too_big");
    sweep.cases.pop();
    assert_eq!(sweep.shape(&cfg()).unwrap(), [3, 3, 2]);
}
