"""The best pairing of rows with columns."""

from __future__ import annotations

from torch import Tensor


def assign(scores: Tensor) -> list[int]:
    """Pair every row with a column of its own so that the sum of the scores is largest (Kuhn 1955, Munkres 1957).

    Rows enter one by one. For each, the shortest chain of changes is searched (as Dijkstra would, on costs that the
    prices of the columns keep non-negative) that frees a column for it.

    Args:
        scores: finite, `[rows columns]`, not more rows than columns.

    Returns:
        The column of each row.
    """
    costs = (-scores).tolist()
    n_columns = scores.shape[1]
    holder = [-1] * n_columns  # the row each column is given to
    row_price, column_price = [0.0] * len(costs), [0.0] * n_columns
    for new in range(len(costs)):
        distance, before = [float("inf")] * n_columns, [-1] * n_columns
        settled: list[int] = []
        row, column, reached = new, -1, 0.0
        while row >= 0:
            for other in set(range(n_columns)).difference(settled):
                length = reached + costs[row][other] - row_price[row] - column_price[other]
                if length < distance[other]:
                    distance[other], before[other] = length, column
            column = min(set(range(n_columns)).difference(settled), key=lambda c: distance[c])
            settled.append(column)
            reached, row = distance[column], holder[column]
        row_price[new] += reached
        for other in settled[:-1]:
            row_price[holder[other]] += reached - distance[other]
            column_price[other] -= reached - distance[other]
        while column >= 0:  # everybody on the chain moves one column on
            earlier = before[column]
            holder[column] = new if earlier < 0 else holder[earlier]
            column = earlier
    return [holder.index(row) for row in range(len(costs))]
