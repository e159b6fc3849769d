//! Formats the results of `evaluate` as a model card and as tables for the terminal.

use crate::measures::NatsPerNote;
use crate::measures::degeneration::Degeneration;
use crate::measures::diversity;
use crate::measures::entry::EntryResult;
use crate::measures::fit::PromptSimilarity;
use crate::measures::free_running;
use crate::measures::histogram::Divergence;
use crate::measures::report::{Baseline, Baselines, Report};
use crate::measures::two_sample::{JudgeResult, Verdict};
use model::{Controls, Weights};
use std::fmt::Write;

/// Number of features listed as most telling; watched ones are listed in addition.
const TELLTALES: usize = 12;

/// A model card in Markdown: the weights' own card, and the report.
pub fn write(weights: &Weights, report: &Report) -> String {
    let card = &weights.card;
    let or_unsaid = |text: &str| if text.is_empty() { "not stated".to_owned() } else { text.to_owned() };
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes everything");
    line(format!("# {}\n", card.name));
    line(format!("* network: {:?}, {} trainable parameters", card.kind, weights.parameters()));
    line(format!("* license: {}", or_unsaid(&card.license)));
    line(format!("* data: {}", or_unsaid(&card.data)));
    line(format!("* training: {}", or_unsaid(&card.training)));
    line(format!("* sampling: {}\n", sampling(&card.controls)));
    line("## Measured\n".to_owned());
    out.push_str(&tables(report));
    out
}

/// The report as Markdown tables, which are readable in a terminal, too.
pub fn tables(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes everything");
    let [used, all] = report.pieces;
    line(format!(
        "On {used} of {all} {} pieces of {}: {} notes. Sampling: {}.\n",
        report.split.name(),
        report.sets.join(", "),
        report.notes,
        sampling(&report.sampling)
    ));

    let baseline = |get: fn(&Baselines) -> Option<&Baseline>| {
        report.baselines.as_ref().and_then(get).map(|baseline| baseline.nats_per_note)
    };
    let rows: Vec<(&str, NatsPerNote)> = [
        ("network", report.nats_per_note),
        ("unigram", baseline(|baselines| baselines.unigram.as_ref())),
        ("markov, up to order 5", baseline(|baselines| baselines.markov.as_ref())),
    ]
    .into_iter()
    .filter_map(|(name, nats)| Some((name, nats?)))
    .collect();
    if !rows.is_empty() {
        line(table_head("nats per note, 10 ms grid", &["pitch", "step", "duration", "sum", "velocity", "spread"]));
        for (name, nats) in rows {
            let optional = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
            line(row(
                name,
                [nats.pitch, nats.step, nats.duration, nats.timed]
                    .map(|value| format!("{value:.3}"))
                    .into_iter()
                    .chain([optional(nats.velocity), optional(nats.spread)]),
            ));
        }
        line(String::new());
    }
    if let Some(loss) = report.loss {
        line(table_head("seed project's loss", &["pitch", "step", "duration", "total"]));
        let values = [loss.pitch, loss.step, loss.duration, loss.total];
        line(row("cross-entropy + MSE + MSE", values.map(|value| format!("{value:.4}"))));
        line(String::new());
    }
    let halves = report.baselines.as_ref().and_then(|baselines| baselines.split_halves.as_ref());
    let per_split = report.jsd_per_split.iter().map(|(split, jsd)| (format!("against {split}"), *jsd));
    let divergences: Vec<(String, Divergence)> = report
        .jsd
        .iter()
        .map(|jsd| ("against these pieces".to_owned(), *jsd))
        .chain(per_split)
        .chain(halves.map(|halves| ("floor: halves of these pieces".to_owned(), halves.jsd)))
        .collect();
    if !divergences.is_empty() {
        line(table_head("Jensen-Shannon divergence, 0-1", &["pitch", "step", "duration"]));
        for (name, jsd) in divergences {
            line(row(&name, [jsd.pitch, jsd.step, jsd.duration].map(|value| format!("{value:.4}"))));
        }
        line(report.jsd_method.as_ref().map_or(String::new(), |method| format!("\n{method}\n")));
    }
    if !report.similarity.is_empty() {
        let columns = ["overlap", "KL", "takes", "real"];
        line(table_head("similarity of takes and real excerpts (Yang, Lerch)", &columns));
        for (name, similarity) in &report.similarity {
            let values = [similarity.overlap, similarity.divergence, similarity.takes, similarity.real];
            line(row(&name.replace('_', " "), values.map(|value| format!("{value:.3}"))));
        }
        line(
            "\nDistances from takes to real excerpts against those among real excerpts: overlap 1, KL 0 is alike.\n"
                .to_owned(),
        );
    }
    if let Some(fit) = &report.fit {
        let title = format!("continuation fit, {} prompts", fit.prompts);
        line(table_head(&title, &["pitch classes", "key", "density", "velocity", "intervals"]));
        let figures = |similarity: &PromptSimilarity| {
            [similarity.pitch_classes, similarity.key, similarity.density, similarity.velocity, similarity.intervals]
                .map(|value| format!("{value:.3}"))
        };
        line(row("network", figures(&fit.network)));
        if let Some(straight) = &report.fit_without_begin {
            line(row("without begin-of-sequence after the prompt", figures(&straight.network)));
        }
        line(row("ceiling: what came next", figures(&fit.ceiling)));
        line(row("floor: other pieces", figures(&fit.floor)));
        line(row("normalized: floor 0, ceiling 1", figures(&fit.share)));
        line("\nCorrelations: higher is nearer. Density, velocity, intervals: lower is nearer.\n".to_owned());
    }
    if let Some(entry) = &report.entry {
        let title = format!("entry over {} held notes, {} hand-overs", entry.held_notes, entry.hand_overs);
        line(table_head(&title, &["nats of the next 20 notes", "sounding together", "off by"]));
        let figures = |counted: &EntryResult| {
            [counted.nats_per_note, counted.texture, counted.texture_error].map(|value| format!("{value:.3}"))
        };
        line(row("length so far", figures(&entry.so_far)));
        line(row("length drawn by the network", figures(&entry.drawn)));
        line(row("true length", figures(&entry.truth)));
        line(format!("\nIn the real pieces, {:.3} notes sound at once there.\n", entry.texture));
    }
    if let Some(diversity) = &report.diversity {
        let title = format!("diversity, {} takes of each of {} prompts", diversity::SEEDS, diversity.prompts);
        line(table_head(&title, &["pairs", "in common", "95 % of pairs have at most", "most"]));
        for (name, pairs) in [
            ("takes of one prompt", diversity.takes),
            ("a take and what came next", diversity.truth),
            ("real continuations in one piece", diversity.real),
        ] {
            let shares = [pairs.mean, pairs.high, pairs.highest].map(|share| format!("{share:.3}"));
            line(row(name, [pairs.pairs.to_string()].into_iter().chain(shares)));
        }
        let beyond = 100.0 * diversity.beyond;
        line(format!("\nMore in common than any two real continuations: {beyond:.1} % of the pairs of takes.\n"));
    }
    if let Some(free) = &report.degeneration {
        let columns = [&free.run_60_s, &free.real_60_s, &free.run_600_s, &free.real_600_s];
        line(table_head("free running", &["60 s", "real pieces", "10 minutes", "real pieces"]));
        let mut figure = |name: &str, get: &dyn Fn(&Degeneration) -> String| line(row(name, columns.map(get)));
        figure("takes", &|free| free.takes.to_string());
        figure("collapsed", &|free| free.collapsed.to_string());
        figure("notes per second", &|free| format!("{:.2}", free.notes_per_second));
        figure("repeated 3-grams of pitches", &|free| format!("{:.3}", free.repeated_3_grams));
        figure("repeated 8-grams of pitches", &|free| format!("{:.3}", free.repeated_8_grams));
        figure("silences over 3 s a minute", &|free| format!("{:.3}", free.silences_a_minute));
        figure("longest run of one pitch", &|free| free.longest_same_pitch.to_string());
        figure("notes outside 21-108", &|free| format!("{:.4}", free.outside_piano));
        figure("still sounding at the next note", &|free| format!("{:.3}", free.overlapping));
        figure("entropy of pitch classes (nats)", &|free| format!("{:.3}", free.pitch_class_entropy));
        figure("notes in the best-fitting scale", &|free| format!("{:.3}", free.scale_consistency));
        figure("key kept from half to half", &|free| format!("{:.3}", free.key_kept));
        line(String::new());
        if let Some(copying) = &free.copying {
            line(table_head("longest run of notes also found in the train split", &["longest", "mean"]));
            let figures = |longest: usize, mean: f64| [longest.to_string(), format!("{mean:.1}")];
            line(row("10 minute takes", figures(copying.longest_in_takes, copying.mean_in_takes)));
            line(row(
                "real pieces of this split",
                figures(copying.longest_in_real_pieces, copying.mean_in_real_pieces),
            ));
            line(String::new());
        }
    }
    for (set, judged) in &report.judge {
        line(verdicts(set, judged));
    }
    out
}

fn sampling(controls: &Controls) -> String {
    let Controls {
        temperature,
        top_p,
        min_p,
        texture,
        evenness,
        durations,
        chord_durations,
        density,
        spread,
        dynamics,
        register,
        range,
        repeated_onsets,
        repeats,
    } = controls;
    format!(
        "temperature of step {}, pitch {}, duration {}, velocity {}; top-p {top_p}, min-p {min_p}, texture {texture}, evenness {evenness}, durations {durations}, chord durations {chord_durations}, density {density}, spread {spread}, dynamics {dynamics}, register {register}, range {range}, repeated onsets {repeated_onsets}, repeats {repeats}",
        temperature.step, temperature.pitch, temperature.duration, temperature.velocity
    )
}

/// The judges' results on one set, as tables.
fn verdicts(set: &str, judged: &JudgeResult) -> String {
    let JudgeResult { prompts, works, runs, .. } = judged;
    let title = format!("judge, {set}: {prompts} prompts of {works} works");
    let mut out = table_head(&title, &["A: boosting", "A: logistic", "B: n-grams", "strict"]) + "\n";
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes everything");
    let mut figures = |name: &str, verdict: &Verdict| {
        let Verdict { median, low, high } = verdict;
        let cell = |median: f64, low: f64, high: f64| match low < high {
            true => format!("{median:.3} ({low:.2}-{high:.2})"),
            false => format!("{median:.3}"),
        };
        line(row(
            name,
            [
                cell(median.boosting, low.boosting, high.boosting),
                cell(median.logistic, low.logistic, high.logistic),
                cell(median.grams, low.grams, high.grams),
                cell(median.strict, low.strict, high.strict),
            ],
        ));
    };
    figures("network", &judged.network);
    if let Some(copier) = &judged.copier {
        figures("copier, order 4", copier);
    }
    figures("floor: truth against truth", &judged.floor);
    line(format!(
        "\nArea under the curve, 0.5: cannot tell from what came next in truth; medians of {runs} (range).\n"
    ));
    line(table_head("what gives it away", &["area alone", "real", "network", "copier"]));
    let always = |feature: &str| free_running::WATCHED.contains(&feature);
    for (index, tell) in judged.telltales.iter().enumerate() {
        if index < TELLTALES || always(&tell.feature) {
            let number = |value: f64| format!("{value:.3}");
            let copier = tell.copier.map_or("-".to_owned(), number);
            line(row(&tell.feature, [number(tell.alone), number(tell.real), number(tell.network), copier]));
        }
    }
    out
}

fn table_head(title: &str, columns: &[&str]) -> String {
    let rule = columns.iter().map(|_| format!("{:->14}", ":")).collect::<Vec<_>>().join(" | ");
    format!("{}\n| {:-<52} | {rule} |", row(title, columns.iter().map(|&name| name.to_owned())), "")
}

fn row(name: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells = cells.into_iter().map(|cell| format!("{cell:>14}")).collect::<Vec<_>>().join(" | ");
    format!("| {name:<52} | {cells} |")
}
