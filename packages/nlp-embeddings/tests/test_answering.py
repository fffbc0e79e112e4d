from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rl_core
from nlp_embeddings.answering.bot import BotConfig, RetrievalBot
from nlp_embeddings.answering.chat import ChatConfig, ChatTask
from nlp_embeddings.answering.task import REFUSAL, DialogueConfig, DialogueTask
from nlp_embeddings.reading.pairs import read_conversations
from rl_core.seeds import Seeds


def learned(task: DialogueTask, **config: object) -> RetrievalBot:
    agent = RetrievalBot(BotConfig(**config), task, None, seeds=Seeds(0), budget=10**9)
    while not agent.finished:
        agent.step()
    return agent


@pytest.mark.parametrize("similarity", ["bm25", "cosine"])
def test_the_shop_answers_what_it_can_and_refuses_the_rest(similarity: str) -> None:
    task = DialogueTask(DialogueConfig())
    result = learned(task, similarity=similarity).evaluate(episodes=1, seeds=Seeds(0))
    assert result["accuracy"] >= 0.9
    assert similarity == "cosine" or result["refused where there is none"] >= 0.9
    assert result["AUROC of refusing"] >= 0.9


def test_a_question_answers_itself_with_full_similarity_and_strangers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("".join(f"what is word{n} of chapter{n}\tanswer {n}\n" for n in range(40)) + "who knows\toos\n")
    agent = learned(DialogueTask(DialogueConfig(file=str(tmp_path / "a.tsv"), test=str(tmp_path / "a.tsv"))), neighbours=1)
    answers, similar = agent.reply(["what is word3 of chapter3", "zebra zebra"])
    assert answers[0] == "answer 3"
    assert similar[1] == 0
    assert agent.answer("zebra?") == "I am sorry, I do not know that."
    known = agent.questions
    assert np.mean([a == b for a, b in zip(agent.reply(known)[0], agent.replies, strict=True)]) == 1.0


def test_a_conversation_is_held_line_by_line(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from rl_core.cli.cli import cli

    rl_core.learn("retrieval-bot", seed=0, out=tmp_path / "bot")
    runner = CliRunner()
    result = runner.invoke(cli, ["predict", str(tmp_path / "bot"), "--interactive"], input="can I pay by card\n\nsing a song for me now\n")
    assert result.stdout.splitlines() == ["We take cards and cash.", "I am sorry, I do not know that."]


def test_conversations_in_yaml_are_pairs_and_others_are_refused_by_number(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    talk = ("- - Hello", "  - Hi", "  - How are you?", "- [what is", "  six times seven, 42]")
    good.write_text("\n".join(("\ufeffcategories: [greetings]", "conversations:", *talk)), "utf-8")
    assert [tuple(pair) for pair in read_conversations(good)] == [
        ("Hello", "Hi"),
        ("Hi", "How are you?"),
        ("what is six times seven", "42"),
    ]
    for text, problem in (
        ("conversations: hello\n", r"'hello' in place of a list of conversations; expected `conversations:`"),
        ("conversations:\n- [a, b]\n- [c]\n", r"conversation 2: \['c'\] is not a list of two or more texts"),
        ("conversations:\n- {a: b}\n", r"conversation 1: \{'a': 'b'\} is not a list"),
        ("- [a, b\n", "cannot be read: .* line 1, column 3"),
        ("conversations: []\n", "holds no conversations"),
    ):
        bad.write_text(text)
        with pytest.raises(ValueError, match=problem):
            read_conversations(bad)


def test_a_chat_is_judged_by_exact_answers_and_by_how_much_they_differ(tmp_path: Path) -> None:
    (tmp_path / "talk.yml").write_text("conversations:\n" + "- [are you well, 'yes, I am.']\n- [who are you, nobody]\n" * 10, "utf-8")
    task = ChatTask(ChatConfig(file=str(tmp_path / "talk.yml"), test=str(tmp_path / "talk.yml")))
    wanted = task.read("test", np.arange(4))[1]
    dull = task.rows_of_targets(["yes, I am."] * 4)
    judge = task.judge()
    judge.add(dull, wanted)
    found = judge.result()
    assert (found["exact"], found["commonest answer"]) == (0.5, 1.0)
    assert found["distinct-1"] == 5 / 20  # yes , i am .
    assert found["distinct-2"] == 4 / 16
    assert task.describe(dull[:1]) == ["yes, i am."]


def test_a_bundled_chat_teaches_to_refuse_and_its_questions_are_all_different() -> None:
    task = ChatTask(ChatConfig())
    questions = [pair.source for rows in task.examples.values() for pair in rows]
    assert len(set(questions)) == len(questions) == 600
    for rows in task.examples.values():
        assert 0.1 < np.mean([pair.target == REFUSAL for pair in rows]) < 0.4
