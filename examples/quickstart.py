"""Three companies learn who pays above the common mean, and nothing else. Run: python examples/quickstart.py"""

import numpy as np

import privity as pv


def program(s: pv.Session) -> object:
    pay = pv.stack([s.secret("pay", owner).mean() for owner in s.owners("pay")])
    return s.reveal(pay > pay.mean(), to="all", name="above", reason="the companies agreed to compare themselves")


payrolls = {"ada": [61e3, 48e3, 75e3], "bob": [52e3, 39e3], "eve": [88e3, 57e3, 41e3, 70e3]}
inputs = {owner: {"pay": pv.Input(np.array(pay), bound=200_000)} for owner, pay in payrolls.items()}
result = pv.simulate(program, parties=3, inputs=inputs)
print(dict(zip(payrolls, result.output.tolist(), strict=True)))
print("opened:", [line["name"] for line in result.opened], "in", result.rounds, "rounds")
