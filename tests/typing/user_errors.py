"""Mistakes that a type checker reports: the code behind each `E:` and nothing else. It is never run."""

from __future__ import annotations

import spiraltorch as st

x = st.ones(2, 2)
st.sum("x")  # E: arg-type
st.sum(x, axis="rows")  # E: arg-type
st.sum(x, axes=0)  # E: call-arg
st.softmax(x, axis=None)  # E: arg-type
st.tensor(object())  # E: arg-type
st.zeros("2")  # E: arg-type
st.zeros(2, dtype=3)  # E: arg-type
st.concat(x, "rows")  # E: arg-type
st.norm(x).no_such_method()  # E: attr-defined
st.no_such_function(x)  # E: attr-defined
st.nn.NoSuchLayer(2)  # E: attr-defined
st.linalg.no_such_function(x)  # E: attr-defined
x.sum(dim="rows")  # E: arg-type
x.reshape("2")  # E: arg-type
x.clamp_("0")  # E: arg-type
x.unsqueeze()  # E: call-overload
x + "1"  # E: operator
x @ None  # E: operator
x["rows"]  # E: index
x[1.5]  # E: index
x.backward(create_graph="yes")  # E: arg-type
st.nn.Linear("2", 3)  # E: arg-type
st.optim.SGD(3, lr=0.1)  # E: arg-type
size: str = x.size  # E: assignment
value: st.Tensor = x.max(0)  # E: assignment
