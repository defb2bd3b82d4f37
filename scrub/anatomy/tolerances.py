"""How near is equal, and how little is nothing: every tolerance of the project, with the reason for its size.

Numbers are fp32 where a model computed them (wrong by about 1e-7 for each step, some 1e-6 after a pass) and fp64
where they are summed and compared (wrong by about 1e-16 for each term). A tolerance lies well above what rounding
does to its number, and well below what anybody would call a difference.
"""

# --- verdicts and what they rest on

# By which a mean over draws may miss the bar that it equals: what a claim that changes nothing gives is computed
# again in batches of another size, and differs by some fp32 roundings of a metric, over a gap of about its own size.
ROUNDING = 1e-6
# Of `recovered` and of its differences, where the gap that they are divided by may be small beside the metric, and
# fp32 errs a hundred times as much.
FP32 = 1e-4
# Of L_random - L_model: a row whose metric changes by less was not changed by scrubbing.
UNCHANGED_ROW = 1e-4
# Digits that are kept before a bar is rounded down: 0.29 * 100 is 28.999999999999996, and the bar is 0.29.
BAR_DIGITS = 6
# Digits of weights by which the commonest value is chosen: equal sums in another order must stay a tie.
WEIGHT_DIGITS = 12
# Shares that are sums of weights, in fp64: 1 or 0 but for the sum's rounding, some thousand terms at most.
SHARES = 1e-9
# Of a standard deviation, over which the slope of a statistic is taken: the error of two such steps together goes by
# its fourth power, and what rounding adds by its inverse.
SLOPE_STEP = 1e-3
# Of the influence of rows on a statistic: those that differ by less are alike, and their spread is rounding.
SAME_ROWS = 1e-8
# Of a p-value: farther out in its tail an approximation of a distribution says nothing.
LEAST_P = 1e-4
# Of a metric that was computed for two claims, each in batches of its own: closer is the same metric. Far above
# rounding, since what would be refused otherwise are numbers of two models.
SAME_METRIC = 1e-3
# Of a number in a model's answer that a story computes another way, and of a 0 that was computed.
ANSWER, ANSWER_ZERO = 1e-6, 1e-12

# --- circuits

# Of the distance between model and ablated run, closer than which a circuit's metric is the model's; where that
# distance is nothing, of this share of the metric itself.
EQUIVALENT, EQUIVALENT_METRIC = 1e-5, 1e-3
# Of the circuit's metric, and of one that is 0: parts whose effects differ by less are as necessary as each other.
AS_NECESSARY, AS_NECESSARY_ZERO = 1e-6, 1e-9
# Of the metric: F(M) and F(0) that are closer leave nothing for a circuit to recover.
NO_CURVE = 1e-6
# Of a number of parts: 0.29 * 100 is 28.999999999999996, and 29 parts are meant.
WHOLE = 1e-9
# Of a kernel's entries, which are at most 1, where its factor is cut: far below HSIC, which is about 1 / rows where
# nothing depends on anything.
KERNEL = 1e-12
# Of HSIC: permutations that give the same pairs in another order differ by less, and count as equal.
SAME_HSIC = 1e-10

# --- models

# The largest error of a logit, in standard deviations of the logits, against the model that was loaded; a wrong
# architecture is off by more than one.
LOGIT = 1e-4
# The same where fp32 itself is worse than that: more than this no rounding excuses.
COARSE_LOGIT = 0.01
# Of the length of a residual stream at a position: one that differs by less was computed twice, and is not mixed.
SAME_STREAM = 1e-5

# Of the largest singular value of a basis: below it a row is made of the others, and is no direction of its own.
RANK = 1e-6
# The largest product of unit directions of two subspaces that count as orthogonal: bases are stored in fp32 or less.
ORTHOGONAL = 1e-4

# Of a logit that is read back from a file: as far as two fp32 passes of one model are from one another.
SAME_LOGITS = 1e-5

# --- proposals

# Of the largest exact effect: a node with less is not live, and no estimate is blamed for its sign.
LIVE = 1e-3
# Of the largest: a smaller number is 0, so that ranks do not order what is rounding.
NO_EFFECT = 1e-9
# By how much, relative, a rule must change a gradient to be seen to act: fp32 alone changes it by less.
RULE_SEEN = 1e-3
# What stands for an x at 0 in act(x)/x: small enough for act to be straight there, large enough for fp32 to divide.
AT_ZERO = 1e-6
# Of what exchanging the whole input does: where no head does more, there is nothing to begin a claim with.
NO_HEAD = 1e-3
# Of two sizes of one effect: closer, they are one number that was computed twice.
SAME_EFFECT = 1e-6

# Shares of a change that a direction makes, below which no gradient reads it: what is left of squares in fp64.
DIRECTION_READ = 1e-12

# --- views

# Of a logit, or of the largest of the terms that it is the sum of: some hundred fp32 terms err by less, and a stream
# that is no sum of what was written is off by much more. Half precision errs by its own roundings, which are added.
ADDS_UP = 1e-3
# Of the largest of some scores: keys whose scores differ by less are the same key, computed in another row.
SAME_SCORE = 1e-6
