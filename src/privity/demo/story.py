"""What differs between the demos' reports: who the owners are, whom their rows describe, what was done with them."""

from __future__ import annotations

from dataclasses import dataclass

from .result import DemoResult, Newton, Training


@dataclass(frozen=True, slots=True)
class Story:
    """Words for the terminal and the page. owner: one of them; person: whom a row describes. data: the source's credit.

    limits: what a reader must know about this demo beside what holds for both.
    """

    owner: str
    owners: str
    people: str
    headline: str
    data: str
    limits: tuple[str, ...]


STORIES = {
    "banks": Story(
        "bank",
        "banks",
        "customers",
        "{count} banks train one model, and none sees another's customers",
        "I-Cheng Yeh, Default of Credit Card Clients, UCI Machine Learning Repository (2009), CC BY 4.0",
        (
            "“Float64” is the same loop on the same batches, so a difference is one of arithmetic; “centralised” is "
            "scikit-learn's optimum of the same loss.",
        ),
    ),
    "hospitals": Story(
        "hospital",
        "hospitals",
        "patients",
        "{count} hospitals fit one model on patients they share, and none learns who they are",
        "SUPPORT2: Knaus and others, Annals of Internal Medicine 122 (1995); as shipped by the package SurvSet 0.2.11",
        (
            "The number of patients that all hospitals have was opened to all parties. An owner that could change its "
            "own list and run again could ask about single people that way, so every owner counts its runs.",
            "“Alone” lends the label to each hospital; without the others, only the first could train at all.",
            "Standard errors assume that the model is right and rows are independent; no correction was made for the "
            "number of coefficients. Diagnoses and treatment limits are entered as they were recorded.",
        ),
    ),
}


def story_of(result: DemoResult) -> Story:
    """The story of the demo that gave this result."""
    return STORIES[result.demo]


def how(result: DemoResult) -> str:
    """One paragraph on what the compute parties did."""
    if isinstance(result.training, Newton):
        return (
            f"linked the {sum(result.rows.values()):,} rows of all files by an identifier that each hospital spells "
            f"its own way, without learning who matched, filled in missing values, encoded and standardised "
            f"{result.features} columns jointly, and fitted a logistic regression with standard errors on the "
            f"{result.linked_rows or 0:,} patients in common by {result.training.steps} steps of Newton's method"
        )
    return (
        f"standardised the {sum(result.rows.values()):,} rows and {result.features} features jointly and trained a "
        f"logistic regression with {result.steps} steps of mini-batch gradient descent"
    )


def parameters(result: DemoResult) -> str:
    """The public hyper-parameters, in one line."""
    training = result.training
    if isinstance(training, Training):
        return (
            f"{training.epochs} epochs, batch {training.batch:,}, learning rate {training.learning_rate:g} falling to "
            f"{training.final_learning_rate:g}, L2 {training.l2:g}, class weights {training.class_weight[0]:g} and "
            f"{training.class_weight[1]:g}, order of the rows from seed {training.seed}."
        )
    return f"{training.steps} steps, no penalty, every |coefficient| below {training.coefficient_bound:g} (checked)."
