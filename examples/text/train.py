"""Train a classifier of short messages to a help desk, and save it to desk.joblib."""

from __future__ import annotations

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

MESSAGES = {
    "billing": [
        "I was charged twice this month",
        "please send the invoice for March",
        "the refund has not arrived yet",
        "why is my bill higher than last month",
        "I want to pay by card instead of invoice",
        "the price on my invoice is wrong",
        "cancel my payment, please",
        "where do I find my last invoice",
    ],
    "delivery": [
        "my parcel has not arrived",
        "the box was open and one item is missing",
        "can you deliver to another address",
        "the courier left the parcel in the rain",
        "when will my order be delivered",
        "the tracking number does not work",
        "I received the wrong item",
        "please send the parcel to my office",
    ],
    "account": [
        "I cannot log in to my account",
        "how do I reset my password",
        "please delete my account",
        "the code for the login never comes",
        "I want to change my email address",
        "my account is locked",
        "the password link has expired",
        "someone else uses my login",
    ],
}


def main() -> None:
    texts = [text for group in MESSAGES.values() for text in group]
    topics = [topic for topic, group in MESSAGES.items() for _ in group]
    # C is high, which is little regularisation: few texts share a word.
    model = make_pipeline(TfidfVectorizer(stop_words="english"), LogisticRegression(C=10))
    accuracy = cross_val_score(model, texts, topics, cv=8).mean()
    print(f"accuracy, cross-validated: {accuracy:.2f} (chance: 0.33)")
    joblib.dump(model.fit(texts, topics), "desk.joblib")


if __name__ == "__main__":
    main()
