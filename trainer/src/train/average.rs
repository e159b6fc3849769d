//! Weights averaged over the steps of a run. Averages lack the noise that a high learning rate leaves in the latest
//! weights, so that a run can be judged, and its weights used, before the rate decays (Polyak & Juditsky 1992).

use model::{Card, Weights, train::Model, weights::Tensor};
use std::collections::BTreeMap;

/// An exponential moving average of all weights; empty until the first update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Average {
    /// Averages by tensor name.
    pub tensors: BTreeMap<String, Vec<f32>>,
    /// Number of updates.
    pub steps: u64,
}

impl Average {
    /// Updates the averages with the current weights. `kept` is the decay per step, reduced in the first steps; 0
    /// disables averaging.
    pub fn follow(&mut self, model: &Model, kept: f64) -> anyhow::Result<()> {
        if kept == 0.0 {
            return Ok(());
        }
        let kept = kept.min((1.0 + self.steps as f64) / (10.0 + self.steps as f64)) as f32;
        for (name, var) in model.vars() {
            let now = var.flatten_all()?.to_vec1::<f32>()?;
            match self.tensors.get_mut(name) {
                Some(average) => {
                    average.iter_mut().zip(now).for_each(|(average, now)| *average += (1.0 - kept) * (now - *average));
                }
                None => {
                    self.tensors.insert(name.clone(), now);
                }
            }
        }
        self.steps += 1;
        Ok(())
    }

    /// The averages, with a card; the model's current weights if there are no averages.
    pub fn weights(&self, model: &Model, card: Card) -> anyhow::Result<Weights> {
        if self.tensors.is_empty() {
            return Ok(model.weights(card)??);
        }
        let tensor = |(name, data): (&String, &Vec<f32>)| {
            let shape = model.vars()[name].dims().to_vec();
            (name.clone(), Tensor::new(shape, data.clone()))
        };
        Ok(Weights::new(card, self.tensors.iter().map(tensor).collect())?)
    }

    /// A model with the averages; `None` if there are none.
    pub fn model(&self, model: &Model, card: &Card) -> anyhow::Result<Option<Model>> {
        let average = || Ok(Model::new(&self.weights(model, card.clone())?, model.device(), model.precision())?);
        (!self.tensors.is_empty()).then(average).transpose()
    }
}
