"""What new users get wrong, each with the sentence that it gets: what was found, what is near, what to do.

A mistake is a line below `HEAD`, a sound claim about a small model in a file `mine.py`, and a command (`check` unless
another stands first). Its sentence is a part of what is printed.
"""

# ruff: noqa: E501 (a sentence stands beside what gets it)
from __future__ import annotations

HEAD = '''
import math
import networkx as nx
from scrub import Dataset, Interpretation, Metric, claim, embed, heads, inside, logits, mlps, nodes, recovers
from scrub.zoo import induction_rows

story = Interpretation()

@story.variable
def first(a):
    return a

@story.variable
def before(first):
    return first

@story.variable
def current(a):
    return a

@story.variable
def found(before, current, b):
    return b if before == current else None

@story.variable
def answer(found):
    return found

made = induction_rows(40, seed=1)

def rows():
    return Dataset.from_rows(made)

def with_row(**changed):
    return lambda: Dataset.from_rows([row | (changed if i == 3 else {}) for i, row in enumerate(made)])

SITES = dict(
    first=embed("A1"),
    before=heads("0.3", at="B1").reads(v="first"),
    current=embed("END"),
    b=embed("B1"),
    found=heads("1.0 1.2", at="END").reads(q="current", k="before", v="b"),
    answer=logits("END"),
)
SETTING = dict(model="zoo:induction", data=rows, metric="loss(b)", expect=recovers(0.8))

def placed(build, **setting):
    """The claim with other sites, or another setting."""
    return claim(story, **{**SETTING, **setting})(lambda: {**SITES, **build()})

def make(**setting):
    return placed(dict, **setting)

def tell(function):
    """A claim with a story of one variable."""
    other = Interpretation()
    other.variable(function)
    return claim(other, **SETTING)(lambda: dict(a=embed("END"), answer=logits("END")))

def right(output, row):
    return 0.0
'''
Case = tuple[str, str] | tuple[str, str, str]  # a line of the file, the sentence, the command

SITES: dict[str, Case] = {
    "a head as a number": ("c = placed(lambda: dict(before=heads(0.3, at='B1')))", "write a string, because as a number 9.10 would be 9.1"),
    "a comma in a head": ("c = placed(lambda: dict(before=heads('0,3', at='B1')))", "'0' names no component. Heads are written 9.6"),
    "a layer too many": ("c = placed(lambda: dict(before=heads('2.0', at='B1').reads(v='first')))", "head 2.0 does not exist: zoo:induction has layers 0 to 1.  Did you mean 1.0?"),
    "a head too many": ("c = placed(lambda: dict(before=heads('0.9', at='B1').reads(v='first')))", "zoo:induction has heads 0.0 to 0.3.  Did you mean 0.3?"),
    "an MLP that is not there": ("c = placed(lambda: dict(before=mlps(0, at='B1')))", "zoo:induction has attention only, no MLPs.  Did you mean attn 0?"),
    "no position": ("c = placed(lambda: dict(before=heads('0.3').reads(v='first')))", "c > before\n    a site without a position, 0.3: write at='END'"),
    "a position misspelt": ("c = placed(lambda: dict(before=heads('0.3', at='BI').reads(v='first')))", "the data have no position 'BI': they name A1, B1, END.  Did you mean B1?"),
    "a position beyond the row": ("c = placed(lambda: dict(before=heads('0.3', at='END+1').reads(v='first')))", "position END+1 is missing in 40 of 40 rows"),
    "a parent misspelt": ("c = placed(lambda: dict(before=heads('0.3', at='B1').reads(v='frist')))", ".reads(v='frist'): not a placed parent; those are first.  Did you mean first?"),
    "a channel that is none": ("c = placed(lambda: dict(before=heads('0.3', at='B1').reads(value='first')))", "0.3 @ B1 has no channel 'value': it has q, k, v."),
    "a parent without a channel": ("c = placed(lambda: dict(before=heads('0.3', at='B1').reads('first')))", ".reads('first'): say through which channel, such as .reads(v='first')."),
    "reads forgotten": ("c = placed(lambda: dict(before=heads('0.3', at='B1')))", "the parent 'first' is read by no channel of 0.3 @ B1.  Name it, .reads(v='first'), or cut it on purpose, .omits('first')."),
    "a value read elsewhere": ("c = placed(lambda: dict(found=heads('1.0 1.2', at='B1').reads(k='before', v='b').omits('current')))", 'Split the variable in two, \'found\' there and what brings it to END, and let \'answer\' read the second (L.H: heads that read B1 from END):\n        @story.variable\n        def found_at_end(found): return found\n        found_at_end=heads("L.H", at="END").reads(v="found"),'),
    "written too late": ("c = placed(lambda: dict(before=heads('1.3', at='B1').reads(v='first')))", "k of 1.0 cannot read 'before' at 1.3 @ B1: nothing there is written before 1.0 reads."),
    "behind the mask": ("c = placed(lambda: dict(first=embed('END')))", "v of 0.3 cannot read 'first' at embed @ END: it lies after the reader in every row, and the mask hides it."),
    "two values in one place": ("c = placed(lambda: dict(b=heads('0.3', at='B1'), found=heads('1.0', at='END').reads(q='current', k='before b', v='b')))", "'before' at 0.3 @ B1 and 'b' at 0.3 @ B1, both read by k of 1.0 @ END, overlap."),
    "an answer that is no output": ("c = placed(lambda: dict(answer=heads('1.3', at='END').reads(v='found')))", "the output is read at 1.3 @ END.  Place it at logits('END')."),
    "an answer at two places": ("c = placed(lambda: dict(answer=logits('END B1')))", "the output is read at one place, found logits @ END B1."),
    "a site as text": ("c = placed(lambda: dict(before='0.3'))", "before='0.3' is no site: use heads(...), mlps(...), embed(...), a list of sites, or inside."),
    "an entry misspelt": ("c = placed(lambda: dict(beforre=heads('0.3', at='B1').reads(v='first')))", "'beforre' is no variable of the story and no column that it reads.  Did you mean before?"),
    "a function that is no variable": ("c = placed(lambda: dict(later=heads('1.3', at='END')))", "A variable is a function below @story.variable, a column what one of them names."),
    "an entry forgotten": ("c = claim(story, **SETTING)(lambda: {k: v for k, v in SITES.items() if k != 'before'})", "c > before\n    this variable has no entry in the correspondence.  Give it a site, a list of sites, or inside"),
    "a column inside": ("c = placed(lambda: dict(b=inside))", "a column cannot be inside.  Leave it out: columns without a site are free."),
}  # fmt: skip
STORY: dict[str, Case] = {
    "a story without variables": ("c = claim(Interpretation(), **SETTING)(lambda: {})", "the story has no variables.  Add functions with @story.variable."),
    "a variable that nobody reads": ("@story.variable\ndef idle(a):\n    return a\nc = placed(lambda: dict(idle=inside))", "c > idle\n    this variable is unused: nothing reads it, and it is not the output."),
    "parents without names": ("@story.variable\ndef idle(*parents):\n    return 1", "variable 'idle': the parameter 'parents' is no edge; name every parent as a plain parameter."),
    "a name twice": ("@story.variable\ndef first(a):\n    return a", "variable 'first' is defined twice in one story."),
    "a column misspelt": ("def answer(bb):\n    return bb\nc = tell(answer)", "'bb' is no variable and no column of the data.  Did you mean b?  The columns are a, b, copied, gap, length."),
    "two answers": ("@story.variable\ndef other(b):\n    return b\nc = claim(story, **SETTING)(lambda: {**SITES, 'answer': inside, 'other': inside})", "the story has several outputs: answer, other.  A story has one answer"),
    "a circle": ("x = Interpretation()\n@x.variable\ndef p(q):\n    return q\n@x.variable\ndef q(p):\n    return p\nc = claim(x, **SETTING)(lambda: {})", "the story has a cycle: p -> q -> p.  A variable is a function of earlier ones."),
    "a float": ("def answer(a):\n    return a / 2\nc = tell(answer)", "is a float: say how it is rounded, with @story.variable(round=0.25)"),
    "a list": ("def answer(a):\n    return [a]\nc = tell(answer)", "(list) is no value: use None, bool, int, str, Fraction or tuples of these"),
    "a story that raises": ("def answer(a):\n    return {}[a]\nc = tell(answer)", "variable 'answer' raised KeyError: "),
    "no arguments of claim": ("@claim\ndef c():\n    return SITES", "@claim(c): the first argument is the story, an Interpretation; write @claim(story"),
    "no story": ("@claim(model='zoo:induction', data=rows, metric='loss(b)')\ndef c():\n    return SITES", "@claim(): the first argument is the story"),
    "return forgotten": ("@claim(story, **SETTING)\ndef c():\n    dict(SITES)", "c returns NoneType; it must return dict(variable=site, ...)."),
    "sites without names": ("@claim(story, **SETTING)\ndef c():\n    return [*SITES.values()]", "c returns list; it must return dict(variable=site, ...)."),
    "a foil without reason": ("c = make().foil()", ".foil(...) needs its reason: say in a sentence what is wrong with it."),
    "no expectation": ("c = make(expect=None)", "the claim does not say what it expects.  State it beforehand: expect=recovers(0.8).", "test"),
    "an expectation in percent": ("c = make(expect=recovers(80))", "recovers(80): say a share above 0 and up to 1, such as recovers(0.8)."),
    "an expectation that is a number": ("c = make(expect=0.8)", "expect=0.8: write expect=recovers(0.8)."),
    "a setting misspelt": ("c = make(modle='zoo:induction')", "@claim has no argument 'modle'.  Did you mean model?"),
    "a rest misspelt": ("c = make(rest='mena')", "rest='mena' is unknown. Did you mean 'mean'? Known: resample, keep, paired, mean, zero."),
    "through what is nothing": ("c = make(through='head 0.3')", "names nothing that a path can pass in zoo:induction: write 'mlps', 'heads', 'all'"),
    "a stratum misspelt": ("c = make(within='lenght')", "within=: the data have no column 'lenght'; they have a, b, copied, gap, length.  Did you mean length?"),
    "a mark that is no bool": ("c = make(scored='a')", "scored=: column 'a' must hold True or False"),
    "partners without a column": ("c = make(rest='paired')", "rest='paired' needs pair='column', the column that names each row's partner."),
    "no claim in the file": ("def later():\n    return make()", "the file mine.py holds no claims: decorate a function with @claim (scrub new writes one)."),
    "a module that is not there": ("import numpyy", "importing the file raised ModuleNotFoundError: No module named 'numpyy'"),
    "a parenthesis": ("c = make(", "syntax error: '(' was never closed."),
}  # fmt: skip
DATA: dict[str, Case] = {
    "no rows": ("c = make(data=lambda: Dataset.from_rows([]))", "the data set is empty.  A pool of rows is needed; a verdict takes at least 30 reference rows."),
    "few rows": ("c = make(data=lambda: Dataset.from_rows(made[:12]))", "12 reference rows are too few: a verdict takes at least 30", "test --draws 1 --controls none --parts none"),
    "text for tokens": ("c = make(data=with_row(tokens='the cat'))", "row 3: tokens must be ids (non-negative ints), found 't'."),
    "a batch for tokens": ("c = make(data=with_row(tokens=[[1, 2, 3]]))", "row 3: tokens must be ids (non-negative ints), found [1, 2, 3]."),
    "a position outside": ("c = make(data=with_row(positions={'END': 400}))", "row 3: position 'END' is 400, but the row has 19 tokens."),
    "a position of some rows": ("c = make(data=with_row(positions={'END': -1}))", "position A1 is missing in 1 of 40 rows: 3.  Every row needs every position that the claim uses."),
    "a column of some rows": ("c = make(data=with_row(columns={'a': 1}))", "column 'b' is missing in rows 3.  Every row needs it."),
    "a key misspelt": ("c = make(data=with_row(token=[1]))", "row 3: unknown key 'token'; the keys are tokens, positions, columns. Did you mean 'tokens'?"),
    "columns for rows": ("c = make(data=lambda: Dataset.from_rows({'tokens': [[1, 2]]}))", "from_rows takes a list of rows, each a mapping, found dict."),
    "a list for data": ("c = make(data=made)", "data=list is no Dataset and no function that makes one: write data=Dataset.from_rows(...)."),
    "a file for data": ("c = make(data='rows.jsonl')", "data='rows.jsonl' is a text: read the file, data=Dataset.from_jsonl('rows.jsonl')."),
    "rows not returned": ("def nothing():\n    Dataset.from_rows(made)\nc = make(data=nothing)", "the function of data= returned NoneType; it must return a Dataset."),
    "texts without a tokenizer": ("c = make(data=lambda: Dataset.from_text(['When{IO| Mary} left']))", "the rows are texts: give tokenizer="),
    "a file that is not there": ("c = make(data=lambda: Dataset.from_jsonl('row.jsonl'))", "row.jsonl cannot be read: No such file or directory. Did you mean 'rows.jsonl'?"),
    "a line that is no JSON": ("c = make(data=lambda: Dataset.from_jsonl('rows.jsonl'))", "rows.jsonl:2: no JSON object: Expecting property name enclosed in double quotes."),
    "a key that no line has": ("c = make(data=lambda: Dataset.from_csv('prompts.csv', tokens='ids'))", "prompts.csv:2: tokens=: no key 'ids'; the keys are text, IO."),
    "tokens of another model": ("c = make(data=with_row(tokens=[*made[3]['tokens'][:-1], 99999]))", "rows 3 have token ids beyond the model's vocabulary of 101.  Tokenize with the model's own tokenizer."),
    "a row too long": ("c = make(data=with_row(tokens=[1] * 500))", "rows 3 are longer than the model's context of 32 tokens."),
    "a label that is no token": ("c = make(data=with_row(columns=made[3]['columns'] | {'b': 'Mary'}))", "column 'b' must hold single tokens; these are none or several: 'Mary' (row 3)."),
    "a metric misspelt": ("c = make(metric='logitdiff(a, b)')", "metric 'logitdiff(a, b)' is unknown. Did you mean 'logit_diff'?"),
    "a metric's columns": ("c = make(metric='logit_diff(b)')", "logit_diff takes 2 columns of the data, found 1: write logit_diff(a, b) with names of yours."),
    "a metric's column misspelt": ("c = make(metric='loss(bb)')", "metric loss(bb): the data have no column 'bb'; they have a, b, copied, gap, length.  Did you mean b?"),
    "a function for a metric": ("c = make(metric=right)", "metric=right is a function alone: write metric=Metric(right, better='higher')."),
    "better that is neither": ("c = make(metric=Metric(right, better='up'))", "mine.py:{line}\n    Metric(better='up'): say 'higher' or 'lower'."),
    "a metric without an answer": ("c = make(metric=Metric(right))", "metric right does not say what the right answer is.  Add predicts='column'"),
    "a metric that raises": ("c = make(metric=Metric(lambda o, r: r.columns['io']), predicts='b')", "metric <lambda> raised KeyError: 'io' (mine.py:", "test --draws 1"),
    "a metric that gives all logits": ("c = make(metric=Metric(lambda o, r: o), predicts='b')", "metric <lambda> returned a ndarray: let it return a number, fn(output, row) -> float.", "test --draws 1"),
    "a metric that is NaN": ("c = make(metric=Metric(lambda o, r: math.nan), predicts='b')", "the metric is NaN or infinite", "test --draws 1"),
    "columns exchanged": ("c = make(metric='logit_diff(a, b)', predicts='b')", "Are the two columns exchanged? logit_diff(b, a) would have the other sign.", "test --draws 1 --controls none --parts none"),
    "a model of the zoo misspelt": ("c = make(model='zoo:inductoin')", "The zoo has no model 'inductoin'", ),
    "a model misspelt": ("c = make(model='gpt2-smal')", "Did you mean 'gpt2-small'?"),
    "a directory that is not there": ("c = make(model='./models/mine')", "model './models/mine' is not here: there is no such directory"),
    "a number for a model": ("c = make(model=3)", "model=int is no model: give a name, a directory, a checkpoint"),
    "no model": ("c = make(model=None)", "@claim needs model=: every claim says its model, its data and its metric."),
    "a graph with a circle": ("c = make(model=lambda: nx.DiGraph([('a', 'h'), ('h', 'g'), ('g', 'h')]))", "the model's graph has a cycle: h -> g -> h."),
    "a graph without functions": ("c = make(model=lambda: nx.DiGraph([('a', 'h')]))", "node 'h' has edges into it but no attribute 'function'."),
}  # fmt: skip
LINES: dict[str, tuple[str, str]] = {  # the command line as it is typed, and the sentence; mine.py is sound
    "one colon": ("check mine.py:c", "no such file: mine.py:c. Two colons name a claim: mine.py::c."),
    "a file for a model": ("check mine.py --model mine.py", "model 'mine.py' is a file, and no checkpoint, whose name ends in .pt, .pth, .ckpt, .bin, .safetensors"),
    "a module": ("check mine", "no such file: mine. Did you mean 'mine.py'?"),
    "a file misspelt": ("check mien.py", "no such file: mien.py. Did you mean 'mine.py'?"),
    "a notebook": ("check claims.ipynb", "claims.ipynb is a notebook, of which no claims are collected"),
    "a folder without claims": ("check nothing", "the directory nothing holds no claims"),
    "a claim misspelt": ("check mine.py::d", "mine.py has no claim 'd'. It has c."),
    "a variant": ("check mine.py::c[backups=False]", "c has no variant 'backups'. Its parameters: none."),
    "a command misspelt": ("tets mine.py", "No such command 'tets'. Did you mean 'test'?"),
    "an option misspelt": ("test mine.py --draw 3", "No such option '--draw'"),
    "no draws": ("test mine.py --draws 0", "--draws 0: at least one draw is needed for each row; 20 is the default."),
    "draws in words": ("test mine.py --draws ten", "'ten' is not a valid integer"),
    "no rows at all": ("explain mine.py --rows 0", "--rows 0: at least one reference row is needed"),
    "a dtype": ("test mine.py --dtype bfloat", "dtype 'bfloat' is unknown. Did you mean 'bfloat16'? There are auto"),
    "a kind of device": ("test mine.py --device gpu", "--device gpu: no such device here."),
    "one head of a layer": ("sweep mine.py --senders 'head 0'", "'head 0' names no component, nor several. Did you mean 'heads 0'?"),
    "a device": ("test mine.py --device cuda:7", "--device cuda:7: no such device here."),
    "draws beyond all machines": ("plan mine.py --draws 99999999999999", "An interval rests on rows: 20 draws are usual."),
    "a cache that is a file": ("test mine.py --cache mine.py", "--cache mine.py is a file: name a directory, there or new."),
    "a search of one row": ("grow mine.py --rows 1", "1 row to search on, and others to measure on, are too few: give more rows"),
    "a circuit that is a folder": ("criteria mine.py --circuit nothing", "--circuit nothing is a directory: name the file"),
    "a memory": ("test mine.py --memory lots", "--memory 'lots' is no size: write a size such as \"2GB\""),
    "a network exactly": ("test mine.py --exact", "only a computation graph allows: drop --exact."),
    "a report of nothing kept": ("test mine.py --report", "--report is about a run that is kept: say where, --out DIR."),
    "a comparison of one": ("compare mine.py", "only one claim in mine.py: name a second one to compare it with."),
    "senders misspelt": ("sweep mine.py --senders head", "'head' names no component, nor several. Did you mean 'heads'?"),
    "queries misspelt": ("sweep mine.py --senders 'querys 0'", "'querys 0' names no component, nor several. Did you mean 'queries 0'?"),
    "queries of no layer": ("sweep mine.py --senders 'queries 9'", "'queries 9': there is no layer 9, zoo:induction has layers 0 to 1."),
    "layers backwards": ("sweep mine.py --senders 'keys 1-0'", "'keys 1-0' names no layers: write 'keys 3' or 'keys 0-3'."),
    "a path without an arrow": ("sweep mine.py --to logits", "to='logits': the rest of a path begins with an arrow: '-> logits'"),
    "a position to sweep": ("sweep mine.py --at EDN", "the data have no position 'EDN': they name A1, B1, END. Did you mean 'END'?"),
    "neither claim nor data": ("sweep --senders heads", "name a claim, file.py::name, or give --model, --data, --metric as well."),
    "partners for a sweep": ("sweep mine.py --ablation paired", "on the command line --pair COLUMN"),
    "a path backwards": ("patch mine.py --path 1.0->0.3.q", "0.3.q does not read 1.0 directly."),
    "a path of nobody": ("patch mine.py --path 0.7->logits", "there is no 0.7, zoo:induction has heads 0.0 to 0.3; did you mean 0.3?"),
    "a run that is not there": ("power mine.py --run nowhere", "It is stored by `scrub test ... --out nowhere`."),
    "a circuit that is no file": ("criteria mine.py --circuit edges.json", "--circuit edges.json: no such file, and no name of a part."),
    "a method misspelt": ("propose mine.py --method atpp", "method='atpp' is unknown. Did you mean 'atp'?"),
    "a picture of another kind": ("sweep mine.py --picture map.jpg", "--picture map.jpg: a picture is written as .svg, .png, .pdf: call it map.svg."),
    "a report of a file": ("report mine.py", "mine.py is a file: name the directory that --out named."),
    "rows that are text": ("sweep --model zoo:induction --data mine.py --metric loss(b) --senders heads", "A file of rows holds one JSON object a line, such as {"),
    "no position to sweep": ("sweep mine.py --senders heads --at ''", "at='' names no position: write at='END'"),
    "a report of nothing": ("report nothing", "nothing holds no results. They are stored there by `scrub test`"),
    "a variable misspelt": ("fit pca mine.py::c --variable befor --out x.safetensors", "'befor' is no variable of the story, and no column that every row has. Did you mean 'before'?"),
    "few rows for a fit": ("fit pca mine.py::c --variable before --rows 1 --out x.safetensors", "fit.pca: 1 row is too few to find a direction on: give 8 or more."),
    "a dictionary that is none": ("propose mine.py --dictionary nothing", "dictionary nothing: no dictionary that is known lies there: cfg.json"),
    "no variable to rank": ("propose mine.py --rank ''", "--rank '': it has no site."),
    "a file that is there": ("new mine.py", "mine.py exists already, and is left as it is: choose another name."),
    "a start misspelt": ("new other.py --like inductoin", "--like inductoin: there is no such start. Did you mean 'induction'?"),
}  # fmt: skip
MISTAKES: dict[str, Case] = {**SITES, **STORY, **DATA}
