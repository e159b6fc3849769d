//! Maps the tensor names of a foreign state dict to those of the seed network.

use super::torch::Named;
use model::{Kind, shapes};

/// A tensor of the seed network and its counterpart in the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// Name in the seed network.
    pub name: String,
    /// Shape of both tensors.
    pub shape: Vec<usize>,
    /// Index of the tensor in the file.
    pub found: usize,
}

/// Maps a group of tensors to the seed network. `chosen` are pairs (our name, their name), which take precedence over
/// all rules. If the tensors do not fit, returns a list of all problems, with what was expected.
///
/// An LSTM's tensors are recognized by the last part of their names and the layer number; several LSTM modules are
/// ordered by the numbers in their names. A linear layer's weight is recognized by its shape, if that is unique; the
/// step and duration heads by their names, or by elimination; a bias by the name of its weight.
pub fn fit(found: &[Named], chosen: &[(String, String)]) -> Result<Vec<Pair>, Vec<String>> {
    let mut fitting = Fitting { found, expected: shapes::of(Kind::Seed), pairs: Vec::new(), problems: Vec::new() };
    for (ours, theirs) in chosen {
        fitting.choose(ours, theirs);
    }
    fitting.lstm();
    for head in [Head { name: "step", hint: "step" }, Head { name: "duration", hint: "dur" }] {
        fitting.by_hint(&head);
    }
    let weights: Vec<String> = fitting.expected.iter().filter(|(_, s)| s.len() == 2).map(|(n, _)| n.clone()).collect();
    for name in weights {
        fitting.by_shape(&name);
    }
    let biases: Vec<String> =
        fitting.expected.iter().map(|(n, _)| n.clone()).filter(|n| n.ends_with(".bias")).collect();
    for name in biases {
        fitting.bias(&name);
    }
    fitting.finish()
}

struct Head {
    name: &'static str,
    /// Text that the tensor's name contains, in lower case.
    hint: &'static str,
}

struct Fitting<'f, 'a> {
    found: &'f [Named<'a>],
    expected: Vec<(String, Vec<usize>)>,
    pairs: Vec<Pair>,
    problems: Vec<String>,
}

impl Fitting<'_, '_> {
    fn shape(&self, name: &str) -> Vec<usize> {
        self.expected.iter().find(|(known, _)| known == name).map(|(_, shape)| shape.clone()).unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|pair| pair.name == name)
    }

    fn pair(&mut self, name: &str, found: usize) {
        let shape = self.shape(name);
        self.pairs.push(Pair { name: name.to_owned(), shape, found });
    }

    fn describe(&self, found: &[usize]) -> String {
        let list = |index: &usize| format!("{} {:?}", self.found[*index].name, self.found[*index].view.shape);
        found.iter().map(list).collect::<Vec<_>>().join(", ")
    }

    /// Tensors of the file with this shape that are not mapped yet, do not belong to an LSTM, and satisfy `filter`.
    fn free(&self, shape: &[usize], filter: impl Fn(&str) -> bool) -> Vec<usize> {
        (0..self.found.len())
            .filter(|&index| self.pairs.iter().all(|pair| pair.found != index))
            .filter(|&index| self.found[index].view.shape == shape)
            .filter(|&index| layer_of(&self.found[index].name).is_none() && filter(&self.found[index].name))
            .collect()
    }

    fn choose(&mut self, ours: &str, theirs: &str) {
        let shape = self.shape(ours);
        if shape.is_empty() {
            let names: Vec<&str> = self.expected.iter().map(|(name, _)| name.as_str()).collect();
            self.problems.push(format!("--map: the seed network has no `{ours}`, only {}", names.join(", ")));
            return;
        }
        match self.found.iter().position(|found| found.name == theirs) {
            Some(index) if self.found[index].view.shape == shape => self.pair(ours, index),
            Some(index) => self
                .problems
                .push(format!("--map: {ours} {shape:?} expected, {theirs} is {:?}", self.found[index].view.shape)),
            None => self.problems.push(format!("--map: the file has no `{theirs}`")),
        }
    }

    fn lstm(&mut self) {
        for part in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
            let mut layers: Vec<(Layer, usize)> = (0..self.found.len())
                .filter_map(|index| Some((layer_of(&self.found[index].name)?, index)))
                .filter(|(layer, index)| layer.part == part && self.pairs.iter().all(|pair| pair.found != *index))
                .collect();
            layers.sort();
            let names: Vec<String> =
                (0..shapes::LAYERS).map(|n| format!("lstm.{part}_l{n}")).filter(|name| !self.has(name)).collect();
            // Layers of one module differ in their layer numbers, modules in the numbers in their names.
            let alike = layers.windows(2).any(|pair| pair[0].0.numbers == pair[1].0.numbers);
            if alike || layers.len() > names.len() {
                let all: Vec<usize> = layers.iter().map(|(_, index)| *index).collect();
                self.problems.push(format!("{} expected, found {}", names.join(", "), self.describe(&all)));
                continue;
            }
            for (name, (_, index)) in names.iter().zip(&layers) {
                match self.found[*index].view.shape == self.shape(name) {
                    true => self.pair(name, *index),
                    false => self.problems.push(format!(
                        "{name} {:?} expected, found {}",
                        self.shape(name),
                        self.describe(&[*index])
                    )),
                }
            }
            for name in &names[layers.len()..] {
                self.problems.push(format!("{name} {:?} expected, found none", self.shape(name)));
            }
        }
    }

    fn by_hint(&mut self, head: &Head) {
        let name = format!("{}.weight", head.name);
        if !self.has(&name)
            && let [index] = self.free(&self.shape(&name), |found| found.to_lowercase().contains(head.hint))[..]
        {
            self.pair(&name, index);
        }
    }

    fn by_shape(&mut self, name: &str) {
        let shape = self.shape(name);
        if self.has(name) || name.starts_with("lstm.") {
            return;
        }
        match self.free(&shape, |_| true)[..] {
            [index] => self.pair(name, index),
            [] => self.problems.push(format!("{name} {shape:?} expected, found none")),
            ref several => {
                let several = self.describe(several);
                self.problems.push(format!(
                    "{name} {shape:?} expected, several tensors match: {several} (choose one with --map {name}=THEIRS)"
                ));
            }
        }
    }

    /// Maps the bias that belongs to a weight.
    fn bias(&mut self, name: &str) {
        let weight = name.replace(".bias", ".weight");
        // Without its weight, the bias cannot be recognized; the missing weight has been reported already.
        let Some(pair) = self.pairs.iter().find(|pair| pair.name == weight) else { return };
        if self.has(name) {
            return;
        }
        let (shape, weight) = (self.shape(name), self.found[pair.found].name.clone());
        let beside = weight.strip_suffix("weight").map(|stem| format!("{stem}bias"));
        match self.free(&shape, |found| beside.as_deref() == Some(found))[..] {
            [index] => self.pair(name, index),
            _ => self.problems.push(format!("{name} {shape:?} expected beside {weight}, found none")),
        }
    }

    fn finish(mut self) -> Result<Vec<Pair>, Vec<String>> {
        let left: Vec<usize> =
            (0..self.found.len()).filter(|index| self.pairs.iter().all(|pair| pair.found != *index)).collect();
        // Missing tensors usually explain unmapped ones; these are reported only if there is no other problem.
        if self.problems.is_empty() && !left.is_empty() {
            self.problems.push(format!("the seed network does not use {}", self.describe(&left)));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let order = |name: &str| self.expected.iter().position(|(known, _)| known == name);
        self.pairs.sort_by_key(|pair| order(&pair.name));
        Ok(self.pairs)
    }
}

/// The LSTM tensor that a name refers to. Ordered by the numbers of module and layer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Layer {
    numbers: Vec<u64>,
    part: String,
}

/// `lstm.2.weight_ih_l0` -> numbers 2 and 0, part `weight_ih`.
fn layer_of(name: &str) -> Option<Layer> {
    let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
    let (part, number) = last.rsplit_once("_l")?;
    if !["weight_ih", "weight_hh", "bias_ih", "bias_hh"].contains(&part) {
        return None;
    }
    let words = module.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let numbers = words.chain([number]).map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(Layer { numbers, part: part.to_owned() })
}
