"""Calls of methods that `Tensor` has in common with PyTorch, as expressions that both libraries evaluate.

`x`, `y` are (3, 4), `y` without zeros; `u` is (3, 4) inside (0, 1) and `p` above 1; `v` (4,), `w` (3,), `m` (4, 5), `s`
(4, 4), `b` (2, 3, 4), `c` (2, 4, 5), `n` a number's tensor; `i` (3, 2) and `j` (2,) are int64 indices, `k` a mask of (3, 4).
"""

from __future__ import annotations

FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64", "uint8")
ALL = (*FLOATS, *INTEGERS, "bool")
SIGNED = (*FLOATS, "int32", "int64")
NUMBERS = (*FLOATS, *INTEGERS)
FLAGS = ("bool", "int64")

# By method: the dtypes of the operands, and the calls.
CALLS: dict[str, tuple[tuple[str, ...], str]] = {
    # reductions
    "all": (("float32", "int64", "bool"), "x.all() x.all(1) x.all(dim=0,keepdim=True) x.all(axis=1)"),
    "any": (("float32", "int64", "bool"), "x.any() x.any(1) x.any(dim=0,keepdim=True) x.any(axis=1)"),
    "sum": (ALL, "x.sum() x.sum(1) x.sum(0,True) x.sum((0,1)) x.sum(axis=1) x.sum(dim=[0],keepdim=True) n.sum()"),
    "nansum": (NUMBERS, "x.nansum() x.nansum(1) x.nansum(0,True)"),
    "prod": (ALL, "x.prod() x.prod(1) x.prod(0,True) x.prod(dim=1,keepdim=True)"),
    "mean": (FLOATS, "x.mean() x.mean(1) x.mean(0,True) x.mean((0,1)) x.mean(axis=1)"),
    "nanmean": (FLOATS, "x.nanmean() x.nanmean(1) x.nanmean(0,True)"),
    "std": (
        FLOATS,
        ("x.std() x.std(1) x.std(axis=1) x.std(dim=1) x.std(False) x.std(0,False) x.std(0,True,True) x.std((0,1)) "
        "x.std(unbiased=False) x.std(1,unbiased=False) x.std(1,correction=0) x.std(1,correction=2,keepdim=True) "
        "x.std(correction=0) x.std([0,1],keepdim=True)"),
    ),
    "var": (
        FLOATS,
        ("x.var() x.var(1) x.var(axis=1) x.var(dim=1) x.var(False) x.var(0,False) x.var(0,True,True) x.var((0,1)) "
        "x.var(unbiased=False) x.var(1,unbiased=False) x.var(1,correction=0) x.var(1,correction=2,keepdim=True)"),
    ),
    "count_nonzero": (ALL, "x.count_nonzero() x.count_nonzero(1) x.count_nonzero(dim=0) x.count_nonzero((0,1))"),
    "max": (ALL, "x.max() x.max(1) x.max(0,True) x.max(dim=1) x.max(axis=1) x.max(dim=0,keepdim=True) x.max(y) n.max(0)"),
    "min": (ALL, "x.min() x.min(1) x.min(0,True) x.min(dim=1) x.min(axis=1) x.min(dim=0,keepdim=True) x.min(y) n.min(0)"),
    "amax": (ALL, "x.amax() x.amax(1) x.amax(dim=(0,1),keepdim=True) x.amax(0,True)"),
    "amin": (ALL, "x.amin() x.amin(1) x.amin(dim=(0,1),keepdim=True) x.amin(0,True)"),
    "aminmax": (ALL, "x.aminmax() x.aminmax(dim=1) x.aminmax(dim=0,keepdim=True)"),
    "argmax": (NUMBERS, "x.argmax() x.argmax(1) x.argmax(0,True) x.argmax(dim=1,keepdim=True)"),
    "argmin": (NUMBERS, "x.argmin() x.argmin(1) x.argmin(0,True) x.argmin(dim=1,keepdim=True)"),
    "median": (NUMBERS, "x.median() x.median(1) x.median(0,True) x.median(dim=1,keepdim=True) v.median() n.median()"),
    "nanmedian": (NUMBERS, "x.nanmedian() x.nanmedian(1) x.nanmedian(dim=0,keepdim=True)"),
    "kthvalue": (NUMBERS, "x.kthvalue(2).values x.kthvalue(2,0).values x.kthvalue(1,dim=1,keepdim=True).values x.kthvalue(k=1).values"),
    "mode": (NUMBERS, "x.mode().values x.mode(0).values x.mode(1,True).values"),
    "quantile": (
        FLOATS,
        ("x.quantile(0.3) x.quantile(0.3,1) x.quantile(0.3,dim=0,keepdim=True) "
        "x.quantile(0.3,1,False,interpolation='lower') x.quantile(0.6,1,True)"),
    ),
    "logsumexp": (FLOATS, "x.logsumexp(1) x.logsumexp((0,1)) x.logsumexp(0,True) x.logsumexp(dim=0)"),
    "norm": (FLOATS, "x.norm() x.norm(1) x.norm(2,1) x.norm(p=2,dim=0,keepdim=True) x.norm('fro') x.norm(dim=1)"),
    "dist": (FLOATS, "x.dist(y) x.dist(y,1) x.dist(y,p=3)"),
    # orders and scans
    "sort": (NUMBERS, "x.sort() x.sort(1) x.sort(0,True) x.sort(dim=0,descending=True) x.sort(axis=0) x.sort(stable=True)"),
    "argsort": (NUMBERS, "x.argsort(stable=True) x.argsort(dim=0,stable=True) x.argsort(stable=True,dim=1,descending=True)"),
    "msort": (NUMBERS, "x.msort()"),
    "topk": (NUMBERS, "x.topk(2).values x.topk(2,0).values x.topk(2,1,False).values x.topk(2,dim=1,largest=True,sorted=True).values"),
    "cummax": (NUMBERS, "x.cummax(1) x.cummax(dim=0) x.cummax(axis=1)"),
    "cummin": (NUMBERS, "x.cummin(1) x.cummin(dim=0) x.cummin(axis=1)"),
    "cumsum": (ALL, "x.cumsum(1) x.cumsum(dim=0) x.cumsum(0,dtype=L.float64)"),
    "cumprod": (ALL, "x.cumprod(1) x.cumprod(dim=0) x.cumprod(0,dtype=L.float64)"),
    "logcumsumexp": (FLOATS, "x.logcumsumexp(1) x.logcumsumexp(dim=0)"),
    "diff": (ALL, "x.diff() x.diff(2) x.diff(1,0) x.diff(n=1,dim=0) x.diff(dim=1,prepend=x)"),
    "unique": (
        ALL,
        ("x.unique() x.unique(return_inverse=True) x.unique(return_counts=True) x.unique(True,True,True) "
        "x.unique(dim=0) x.unique(dim=1,return_inverse=True,return_counts=True)"),
    ),
    "unique_consecutive": (
        ALL,
        ("x.unique_consecutive() x.unique_consecutive(True,True) x.unique_consecutive(dim=0) "
        "v.unique_consecutive(return_counts=True)"),
    ),
    "nonzero": (ALL, "x.nonzero() x.nonzero(as_tuple=True) v.nonzero() n.nonzero()"),
    "argwhere": (ALL, "x.argwhere() v.argwhere() n.argwhere()"),
    "bincount": (("int64", "uint8"), "v.abs().bincount() v.abs().bincount(minlength=9) v.abs().bincount(u_v) v.abs().bincount(weights=u_v,minlength=7)"),
    "histc": (FLOATS, "x.histc(4,-3,3) x.histc(bins=5,min=-2,max=2) x.histc(4)"),
    "cov": (FLOATS, "x.cov() x.cov(correction=0)"),
    "corrcoef": (FLOATS, "x.corrcoef() v.corrcoef()"),
    # comparison
    "equal": (ALL, "x.equal(x) x.equal(y) x.equal(v)"),
    "allclose": (FLOATS, "x.allclose(x) x.allclose(y) x.allclose(y,0.0,100.0)"),
    "isclose": (NUMBERS, "x.isclose(x) x.isclose(y) x.isclose(y,rtol=0.5,atol=0.5)"),
    "is_same_size": (FLOATS, "x.is_same_size(y) x.is_same_size(v)"),
    "is_nonzero": (ALL, "n.is_nonzero()"),
    # arithmetic
    "add": (NUMBERS, "x.add(y) x.add(y,alpha=2) x.add(3) x.add(v) x.add(other=y)"),
    "add_": (NUMBERS, "x.add_(y) x.add_(y,alpha=2) x.add_(3,alpha=2)"),
    "sub": (NUMBERS, "x.sub(y) x.sub(y,alpha=2) x.sub(3)"),
    "sub_": (NUMBERS, "x.sub_(y) x.sub_(y,alpha=2)"),
    "subtract": (NUMBERS, "x.subtract(y) x.subtract(y,alpha=2)"),
    "mul": (NUMBERS, "x.mul(y) x.mul(3)"),
    "multiply": (NUMBERS, "x.multiply(y) x.multiply(3)"),
    "div": (NUMBERS, "x.div(y) x.div(3) x.div(y,rounding_mode='floor') x.div(y,rounding_mode='trunc') x.div(3,rounding_mode=None)"),
    "divide": (NUMBERS, "x.divide(y) x.divide(y,rounding_mode='trunc')"),
    "div_": (FLOATS, "x.div_(y) x.div_(y,rounding_mode='trunc')"),
    "true_divide": (NUMBERS, "x.true_divide(y) x.true_divide(3)"),
    "floor_divide": (NUMBERS, "x.floor_divide(y) x.floor_divide(3)"),
    "fmod": (NUMBERS, "x.fmod(y) x.fmod(3)"),
    "fmod_": (NUMBERS, "x.fmod_(y) x.fmod_(2)"),
    "remainder": (NUMBERS, "x.remainder(y) x.remainder(3)"),
    "addcmul": (NUMBERS, "x.addcmul(y,y) x.addcmul(y,v,value=2)"),
    "addcdiv": (FLOATS, "x.addcdiv(y,y) x.addcdiv(y,p,value=2)"),
    "addcmul_": (NUMBERS, "x.addcmul_(y,y,value=2)"),
    "addcdiv_": (FLOATS, "x.addcdiv_(y,p,value=2)"),
    "clamp": (SIGNED, "x.clamp(-1,1) x.clamp(min=0) x.clamp(max=1) x.clamp(y,p) x.clamp(1,-1)"),
    "clip": (SIGNED, "x.clip(-1,1) x.clip(min=0) x.clip(max=1)"),
    "clamp_min": (NUMBERS, "x.clamp_min(1) x.clamp_min(y)"),
    "clamp_max": (NUMBERS, "x.clamp_max(1) x.clamp_max(y)"),
    "clamp_min_": (NUMBERS, "x.clamp_min_(1)"),
    "clamp_max_": (NUMBERS, "x.clamp_max_(1)"),
    "clamp_": (NUMBERS, "x.clamp_(0,1)"),
    "pow": (NUMBERS, "x.pow(2) p.pow(2) x.pow(exponent=2)"),
    "float_power": (NUMBERS, "p.float_power(2) p.float_power(y)"),
    "lerp": (FLOATS, "x.lerp(y,0.3) x.lerp(end=y,weight=u)"),
    "heaviside": (FLOATS, "x.heaviside(y)"),
    "copysign": (NUMBERS, "x.copysign(y) x.copysign(-1)"),
    "nextafter": (FLOATS, "x.nextafter(y)"),
    "hypot": (FLOATS, "x.hypot(y)"),
    "atan2": (NUMBERS, "x.atan2(y)"),
    "arctan2": (NUMBERS, "x.arctan2(y)"),
    "ldexp": (FLOATS, "x.ldexp(j4)"),
    "logaddexp": (FLOATS, "x.logaddexp(y)"),
    "logaddexp2": (FLOATS, "x.logaddexp2(y)"),
    "xlogy": (NUMBERS, "x.xlogy(p) x.xlogy(2)"),
    "maximum": (ALL, "x.maximum(y)"),
    "minimum": (ALL, "x.minimum(y)"),
    "fmax": (ALL, "x.fmax(y)"),
    "fmin": (ALL, "x.fmin(y)"),
    "nan_to_num": (NUMBERS, "x.nan_to_num() (x/0).nan_to_num() (x/0).nan_to_num(1,2,3)"),
    "renorm": (FLOATS, "x.renorm(2,0,1.5) x.renorm(p=1,dim=1,maxnorm=0.5)"),
    "prelu": (FLOATS, "x.prelu(L.full((1,),0.25,dtype=x.dtype))"),
    "hardshrink": (FLOATS, "x.hardshrink() x.hardshrink(1.0)"),
    # products
    "matmul": (NUMBERS, "x.matmul(m) x.matmul(v) b.matmul(m)"),
    "mm": (NUMBERS, "x.mm(m)"),
    "bmm": (NUMBERS, "b.bmm(c)"),
    "mv": (NUMBERS, "x.mv(v)"),
    "dot": (NUMBERS, "v.dot(v)"),
    "vdot": (NUMBERS, "v.vdot(v)"),
    "inner": (NUMBERS, "x.inner(y) v.inner(v) x.inner(v) x.inner(n)"),
    "outer": (NUMBERS, "v.outer(w)"),
    "ger": (NUMBERS, "v.ger(w)"),
    "kron": (NUMBERS, "x.kron(m) v.kron(w) v.kron(x)"),
    "cross": (NUMBERS, "x.T.cross(y.T) b.cross(b,1) b.cross(b,dim=1)"),
    "addmm": (NUMBERS, "L.ones(3,5,dtype=x.dtype).addmm(x,m) L.ones(5,dtype=x.dtype).addmm(x,m,beta=2,alpha=3)"),
    "addmv": (NUMBERS, "w.addmv(x,v) w.addmv(x,v,beta=2,alpha=3)"),
    "addbmm": (NUMBERS, "L.ones(3,5,dtype=x.dtype).addbmm(b,c) L.ones(3,5,dtype=x.dtype).addbmm(b,c,beta=2,alpha=3)"),
    "baddbmm": (NUMBERS, "L.ones(2,3,5,dtype=x.dtype).baddbmm(b,c) L.ones(3,5,dtype=x.dtype).baddbmm(b,c,beta=2,alpha=3)"),
    "addr": (NUMBERS, "x.addr(w,v) x.addr(w,v,beta=2,alpha=3)"),
    "addmm_": (NUMBERS, "L.ones(3,5,dtype=x.dtype).addmm_(x,m)"),
    "matrix_power": (FLOATS, "s.matrix_power(3) s.matrix_power(0)"),
    # shapes
    "reshape": (("float32",), "x.reshape(2,6) x.reshape((4,3)) x.reshape(-1) x.reshape(shape=(6,2))"),
    "reshape_as": (("float32",), "x.reshape_as(x.T)"),
    "view": (("float32",), "x.view(2,6) x.view(-1) x.view(L.int32)"),
    "view_as": (("float32",), "x.view_as(L.ones(2,6))"),
    "flatten": (("float32",), "b.flatten() b.flatten(1) b.flatten(start_dim=0,end_dim=1) n.flatten()"),
    "ravel": (("float32",), "b.ravel()"),
    "unflatten": (("float32",), "x.unflatten(1,(2,2)) x.unflatten(dim=1,sizes=(2,-1))"),
    "squeeze": (("float32",), "L.ones(1,3,1).squeeze() L.ones(1,3,1).squeeze(0) L.ones(1,3,1).squeeze(1) L.ones(1,3,1).squeeze((0,2))"),
    "unsqueeze": (("float32",), "x.unsqueeze(0) x.unsqueeze(-1) x.unsqueeze(dim=1)"),
    "permute": (("float32",), "b.permute(2,0,1) b.permute((2,0,1)) b.permute(dims=(1,0,2))"),
    "transpose": (("float32",), "b.transpose(0,1) b.transpose(-1,0) b.transpose(dim0=1,dim1=2)"),
    "swapaxes": (("float32",), "b.swapaxes(0,1) b.swapaxes(axis0=1,axis1=2)"),
    "swapdims": (("float32",), "b.swapdims(0,1) b.swapdims(dim0=1,dim1=2)"),
    "movedim": (("float32",), "b.movedim(0,2) b.movedim((0,1),(1,2)) b.movedim(source=0,destination=1)"),
    "moveaxis": (("float32",), "b.moveaxis(0,2) b.moveaxis((0,1),(1,2))"),
    "t": (("float32",), "x.t() v.t()"),
    "T": (("float32",), "x.T"),
    "mT": (("float32",), "b.mT"),
    "H": (("float32",), "x.H"),
    "mH": (("float32",), "b.mH"),
    "adjoint": (("float32",), "b.adjoint()"),
    "expand": (("float32",), "w.reshape(3,1).expand(3,4) w.reshape(3,1).expand(-1,4) v.expand((2,3,4))"),
    "expand_as": (("float32",), "v.expand_as(x)"),
    "broadcast_to": (("float32",), "v.broadcast_to((3,4)) v.broadcast_to(size=(3,4))"),
    "sum_to_size": (NUMBERS, "x.sum_to_size(1,4) x.sum_to_size((4,)) b.sum_to_size(3,1)"),
    "repeat": (("float32",), "v.repeat(2) x.repeat(2,1) v.repeat((2,2)) v.repeat(2,3)"),
    "tile": (("float32",), "v.tile(2) x.tile(2) v.tile((2,2)) x.tile((2,)) x.tile(dims=(2,))"),
    "repeat_interleave": (("float32",), "v.repeat_interleave(2) x.repeat_interleave(2,0) x.repeat_interleave(j3,dim=0) x.repeat_interleave(3,dim=1)"),
    "roll": (("float32",), "x.roll(1) x.roll(1,0) x.roll((1,2),(0,1)) x.roll(shifts=1,dims=1)"),
    "flip": (("float32",), "x.flip(0) x.flip(0,1) x.flip((0,1)) x.flip(dims=(1,)) x.flip([0])"),
    "fliplr": (("float32",), "x.fliplr()"),
    "flipud": (("float32",), "x.flipud()"),
    "rot90": (("float32",), "x.rot90() x.rot90(2) x.rot90(-1) x.rot90(1,(1,0)) b.rot90(1,[1,2])"),
    "diag": (("float32",), "v.diag() x.diag() x.diag(1) v.diag(-1) x.diag(diagonal=1)"),
    "diagonal": (("float32",), "x.diagonal() b.diagonal(1,1,2) b.diagonal(offset=0,dim1=0,dim2=2)"),
    "diag_embed": (("float32",), "v.diag_embed() x.diag_embed(1) x.diag_embed(offset=-1,dim1=0,dim2=2)"),
    "diagflat": (("float32",), "v.diagflat() x.diagflat(1)"),
    "trace": (NUMBERS, "s.trace()"),
    "tril": (("float32",), "x.tril() x.tril(1) x.tril(diagonal=-1)"),
    "triu": (("float32",), "x.triu() x.triu(1) x.triu(diagonal=-1)"),
    "split": (("float32",), "x.split(2) x.split(2,1) x.split([1,3],1) x.split(split_size=2,dim=1)"),
    "split_with_sizes": (("float32",), "x.split_with_sizes([1,3],1) x.split_with_sizes(split_sizes=[1,2])"),
    "tensor_split": (("float32",), "x.tensor_split(2) x.tensor_split(3,1) x.tensor_split((1,2),dim=1) x.tensor_split(5)"),
    "hsplit": (("float32",), "x.hsplit(2) x.hsplit([1,2]) v.hsplit(2)"),
    "vsplit": (("float32",), "x.vsplit(3) x.vsplit([1])"),
    "dsplit": (("float32",), "b.dsplit(2) b.dsplit([1])"),
    "chunk": (("float32",), "x.chunk(2) x.chunk(2,1) x.chunk(chunks=3,dim=1)"),
    "unbind": (("float32",), "x.unbind() x.unbind(1) x.unbind(dim=1)"),
    "narrow": (("float32",), "x.narrow(1,1,2) x.narrow(dim=0,start=1,length=1)"),
    "narrow_copy": (("float32",), "x.narrow_copy(1,1,2)"),
    "select": (("float32",), "x.select(1,2) x.select(dim=0,index=-1)"),
    "unfold": (("float32",), "x.unfold(1,2,1) v.unfold(dimension=0,size=2,step=2)"),
    # picking and placing
    "take": (("float32",), "x.take(i) x.take(j) x.take(index=j)"),
    "gather": (("float32",), "x.gather(1,i) x.gather(dim=1,index=i)"),
    "take_along_dim": (("float32",), "x.take_along_dim(i,1) x.take_along_dim(j) x.take_along_dim(indices=i,dim=1)"),
    "index_select": (("float32",), "x.index_select(0,j) x.index_select(dim=1,index=j)"),
    "masked_select": (("float32",), "x.masked_select(k) x.masked_select(mask=k)"),
    "masked_fill": (("float32",), "x.masked_fill(k,7.0) x.masked_fill(mask=k,value=n)"),
    "masked_scatter": (("float32",), "x.masked_scatter(k,y) x.masked_scatter(mask=k,source=y)"),
    "masked_fill_": (("float32",), "x.masked_fill_(k,7.0)"),
    "masked_scatter_": (("float32",), "x.masked_scatter_(k,y)"),
    "where": (("float32",), "x.where(k,y) x.where(k,0.0) x.where(condition=k,other=y)"),
    "scatter": (("float32",), "x.scatter(1,i,y) x.scatter(1,i,9.0) x.scatter(dim=1,index=i,value=5.0) x.scatter(1,i0,y,reduce='add')"),
    "scatter_add": (("float32",), "x.scatter_add(1,i,y) x.scatter_add(dim=1,index=i,src=y)"),
    "scatter_reduce": (
        ("float32",),
        ("x.scatter_reduce(1,i0,y,'sum') x.scatter_reduce(1,i0,y,'prod') x.scatter_reduce(1,i0,y,'amax') "
        "x.scatter_reduce(1,i0,y,'amin',include_self=False) x.scatter_reduce(1,i0,y,'mean') "
        "x.scatter_reduce(1,i0,y,reduce='mean',include_self=False) x.scatter_reduce(1,i0,y,'sum',include_self=False)"),
    ),
    "scatter_": (("float32",), "x.scatter_(1,i,y) x.scatter_(1,i,9.0)"),
    "scatter_add_": (("float32",), "x.scatter_add_(1,i,y)"),
    "scatter_reduce_": (("float32",), "x.scatter_reduce_(1,i0,y,'sum')"),
    "index_add": (("float32",), "x.index_add(0,j,y[:2]) x.index_add(dim=0,index=j,source=y[:2],alpha=2)"),
    "index_add_": (("float32",), "x.index_add_(0,j,y[:2],alpha=2)"),
    "index_copy": (("float32",), "x.index_copy(0,j,y[:2]) x.index_copy(dim=1,index=j,source=y[:,:2])"),
    "index_copy_": (("float32",), "x.index_copy_(0,j,y[:2])"),
    "index_fill": (("float32",), "x.index_fill(0,j,3.0) x.index_fill(dim=1,index=j,value=3.0)"),
    "index_fill_": (("float32",), "x.index_fill_(1,j,3.0)"),
    "index_put": (
        ("float32",),
        "x.index_put((j,),n) x.index_put((j,j),v[:2]) x.index_put((j,j),v[:2],accumulate=True) x.index_put(indices=(k,),values=n)",
    ),
    "index_put_": (("float32",), "x.index_put_((j,j),v[:2])"),
    "put": (("float32",), "x.put(j,v[:2]) x.put(j,v[:2],accumulate=True)"),
    "put_": (("float32",), "x.put_(j,v[:2])"),
    "select_scatter": (("float32",), "x.select_scatter(v,0,1) x.select_scatter(w,1,index=-1)"),
    "slice_scatter": (("float32",), "x.slice_scatter(y[:1],0,1,2) x.slice_scatter(y[:,:2],dim=1,start=0,end=4,step=2)"),
    "diagonal_scatter": (("float32",), "x.diagonal_scatter(w) s.diagonal_scatter(w,1)"),
    "fill_": (NUMBERS, "x.fill_(2)"),
    "fill_diagonal_": (("float32",), "x.fill_diagonal_(9.0) x.T.clone().fill_diagonal_(9.0)"),
    "zero_": (ALL, "x.zero_()"),
    "copy_": (NUMBERS, "x.copy_(y) x.copy_(v)"),
    # conversions and facts
    "to": (NUMBERS, "x.to(L.float64) x.to(dtype=L.int32) x.to(y)"),
    "type_as": (NUMBERS, "x.type_as(i)"),
    "bool": (NUMBERS, "x.bool()"), "byte": (("int64",), "x.abs().byte()"), "char": (NUMBERS, "x.char()"),
    "short": (NUMBERS, "x.short()"), "int": (NUMBERS, "x.int()"), "long": (NUMBERS, "x.long()"),
    "half": (NUMBERS, "x.half()"), "float": (NUMBERS, "x.float()"), "double": (NUMBERS, "x.double()"),
    "bfloat16": (NUMBERS, "x.bfloat16().float()"),
    "size": (("float32",), "x.size() x.size(0) x.size(-1) x.size(dim=1) n.size()"),
    "dim": (("float32",), "x.dim()"), "ndimension": (("float32",), "x.ndimension()"), "ndim": (("float32",), "x.ndim"),
    "numel": (("float32",), "x.numel()"), "nelement": (("float32",), "x.nelement()"), "nbytes": (("float32",), "x.nbytes"),
    "element_size": (ALL, "x.element_size()"), "itemsize": (ALL, "x.itemsize"),
    "shape": (("float32",), "x.shape"),
    "stride": (("float32",), "b.stride() b.stride(0) b.transpose(0,1).stride() x.T.stride(0) b[:,1].stride() v.expand(3,4).stride() x[:,::2].stride(dim=1) n.stride()"),
    "storage_offset": (("float32",), "b.storage_offset() b[1].storage_offset() b[1,:,2].storage_offset() b.transpose(0,2)[1:].storage_offset()"),
    "is_contiguous": (("float32",), "x.is_contiguous() x.T.is_contiguous()"),
    "contiguous": (("float32",), "x.T.contiguous()"),
    "is_floating_point": (ALL, "x.is_floating_point()"), "is_complex": (ALL, "x.is_complex()"), "is_signed": (ALL, "x.is_signed()"),
    "is_cuda": (("float32",), "x.is_cuda"), "is_cpu": (("float32",), "x.is_cpu"), "is_leaf": (("float32",), "x.is_leaf"),
    "is_mps": (("float32",), "x.is_mps"),
    "get_device": (("float32",), "x.get_device()"),
    "requires_grad": (("float32",), "x.requires_grad"), "retains_grad": (("float32",), "x.retains_grad"), "grad": (("float32",), "x.grad"),
    "item": (ALL, "n.item()"), "tolist": (ALL, "x.tolist()"), "clone": (ALL, "x.clone()"), "detach": (ALL, "x.detach()"),
    "data": (ALL, "x.data"), "cpu": (ALL, "x.cpu()"), "numpy": (ALL, "x.numpy()"),
    "real": (ALL, "x.real"), "conj": (ALL, "x.conj()"), "conj_physical": (ALL, "x.conj_physical()"),
    "resolve_conj": (ALL, "x.resolve_conj()"), "resolve_neg": (ALL, "x.resolve_neg()"),
    "isreal": (ALL, "x.isreal()"), "angle": (NUMBERS, "x.angle()"), "positive": (NUMBERS, "x.positive()"),
    "new_zeros": (NUMBERS, "x.new_zeros(2) x.new_zeros((2,3)) x.new_zeros(2,3,dtype=L.int32)"),
    "new_ones": (NUMBERS, "x.new_ones(2) x.new_ones((2,3))"), "new_full": (NUMBERS, "x.new_full((2,3),3) x.new_full(size=(2,),fill_value=3)"),
    "new_empty": (NUMBERS, "x.new_empty(2,3).shape x.new_empty((2,)).dtype"), "new_tensor": (NUMBERS, "x.new_tensor([1,2])"),
    # powers of activation
    "softmax": (FLOATS, "x.softmax(1) x.softmax(dim=0) x.softmax(0,dtype=L.float64)"),
    "log_softmax": (FLOATS, "x.log_softmax(1) x.log_softmax(dim=0) x.log_softmax(0,dtype=L.float64)"),
    "round": (FLOATS, "x.round() x.round(decimals=1) x.round(decimals=-1)"),
    "logit": (FLOATS, "u.logit() x.logit(0.2) u.logit(eps=1e-3)"),
}  # fmt: skip

UNARY_OF_ALL = "sign sgn logical_not"
TESTS_OF_ALL = "isnan isinf isfinite isposinf isneginf signbit"
UNARY_OF_NUMBERS = (
    "abs absolute square neg negative floor ceil trunc fix relu sqrt exp exp2 expm1 sin cos tan atan arctan sinh cosh tanh asinh arcsinh erf erfc "
    "sigmoid sinc deg2rad rad2deg rsqrt reciprocal"
)
UNARY_OF_FLOATS = "frac"
UNARY_INSIDE = "asin arcsin acos arccos atanh arctanh"  # of u, in (0, 1)
UNARY_ABOVE = "log log2 log10 log1p acosh arccosh"  # of p, above 1
for _names, _dtypes, _operand in (
    (UNARY_OF_ALL, ALL, "x"), (UNARY_OF_NUMBERS, NUMBERS, "x"), (UNARY_OF_FLOATS, FLOATS, "x"), (UNARY_INSIDE, FLOATS, "u"),
    (UNARY_ABOVE, NUMBERS, "p"),
):  # fmt: skip
    for _name in _names.split():
        CALLS[_name] = (_dtypes, f"{_operand}.{_name}()")
        CALLS[f"{_name}_"] = (FLOATS, f"{_operand}.{_name}_()")
for _name in TESTS_OF_ALL.split():
    CALLS[_name] = (ALL, f"x.{_name}() (x/0).{_name}()")
for _name in "eq ne lt le gt ge not_equal less less_equal greater greater_equal".split():
    CALLS[_name] = (ALL, f"x.{_name}(y) x.{_name}(1) x.{_name}(other=y)")
    CALLS[f"{_name}_"] = (FLOATS, f"x.{_name}_(y)")
for _name in "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor".split():
    CALLS[_name] = (FLAGS, f"x.{_name}(y)")
    CALLS[f"{_name}_"] = (FLAGS, f"x.{_name}_(y)")
for _name in "bitwise_left_shift bitwise_right_shift".split():
    CALLS[_name] = (("int32", "int64"), f"x.{_name}(y.abs())")
    CALLS[f"{_name}_"] = (("int32", "int64"), f"x.{_name}_(y.abs())")
for _name in "atan2 arctan2 hypot nextafter copysign lerp heaviside float_power xlogy ldexp nan_to_num renorm".split():
    _dtypes, _calls = CALLS[_name]
    CALLS[f"{_name}_"] = (
        ("float64",) if _name == "float_power" else FLOATS,
        _calls.replace(f".{_name}(", f".{_name}_("),
    )
for _name in "addmv addr addbmm tril triu pow floor_divide remainder round clip logit".split():
    _dtypes, _calls = CALLS[_name]
    CALLS[f"{_name}_"] = (("float32",), _calls.replace(f".{_name}(", f".{_name}_("))
CALLS["baddbmm_"] = (NUMBERS, "L.ones(2,3,5,dtype=x.dtype).baddbmm_(b,c)")
CALLS["cumsum_"], CALLS["cumprod_"] = (FLOATS, "x.cumsum_(1)"), (FLOATS, "x.cumprod_(dim=0)")
CALLS["diagonal_scatter"] = (("float32",), "x.diagonal_scatter(w) s.diagonal_scatter(w,1)")
for _name in "mul_ multiply_ divide_ true_divide_ subtract_".split():
    CALLS[_name] = (FLOATS, f"x.{_name}(y) x.{_name}(3)")
CALLS["bitwise_not"] = (FLAGS, "x.bitwise_not()")
CALLS["bitwise_not_"] = (FLAGS, "x.bitwise_not_()")
