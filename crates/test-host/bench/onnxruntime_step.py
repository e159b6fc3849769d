"""One note of the seed network in ONNX Runtime, on one thread: 32-bit floats, and dynamic 8-bit integers."""

import os
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from common import measure, missing

H = 512
rng = np.random.default_rng(1)


def weights(name, *shape):
    return numpy_helper.from_array((rng.uniform(-1, 1, shape) / np.sqrt(H)).astype(np.float32), name)


def build():
    """x [1, 1, 132], h0 c0 … h2 c2 [1, 1, 512] -> pitch [1, 129], timing [1, 2], and the new state."""
    nodes, constants, width, x = [], [], 132, "x"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 132])]
    outputs = []
    for n in range(3):
        constants += [weights(f"W{n}", 1, 4 * H, width), weights(f"R{n}", 1, 4 * H, H), weights(f"B{n}", 1, 8 * H)]
        nodes.append(
            helper.make_node(
                "LSTM",
                [x, f"W{n}", f"R{n}", f"B{n}", "", f"h{n}", f"c{n}"],
                [f"y{n}", f"h{n}_out", f"c{n}_out"],
                hidden_size=H,
            )
        )
        nodes.append(helper.make_node("Squeeze", [f"y{n}", "axis"], [f"z{n}"]))
        for part in "hc":
            inputs.append(helper.make_tensor_value_info(f"{part}{n}", TensorProto.FLOAT, [1, 1, H]))
            outputs.append(helper.make_tensor_value_info(f"{part}{n}_out", TensorProto.FLOAT, [1, 1, H]))
        x, width = f"z{n}", H
    constants.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"))
    nodes.append(helper.make_node("Squeeze", [x, "axis"], ["last"]))
    for name, source, columns, rows in [("p", "last", H, 300), ("pitch", "p_relu", 300, 129), ("timing", "last", H, 2)]:
        constants += [weights(f"{name}_w", columns, rows), weights(f"{name}_b", rows)]
        nodes.append(helper.make_node("MatMul", [source, f"{name}_w"], [f"{name}_m"]))
        nodes.append(helper.make_node("Add", [f"{name}_m", f"{name}_b"], [name]))
        if name == "p":
            nodes.append(helper.make_node("Relu", ["p"], ["p_relu"]))
    outputs += [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("pitch", "timing")]
    graph = helper.make_graph(nodes, "seed", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model


def stepper(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    state = {f"{part}{n}": np.zeros((1, 1, H), np.float32) for n in range(3) for part in "hc"}
    feed = {"x": rng.uniform(-1, 1, (1, 1, 132)).astype(np.float32), **state}
    names = [output.name for output in session.get_outputs()]

    def step():
        for name, value in zip(names, session.run(None, feed)):
            if name.endswith("_out"):
                feed[name[:-4]] = value

    return step


def main():
    with tempfile.TemporaryDirectory() as folder:
        path, narrow = os.path.join(folder, "seed.onnx"), os.path.join(folder, "seed8.onnx")
        onnx.save(build(), path)
        measure("onnxruntime_f32", stepper(path))
        try:
            quantize_dynamic(path, narrow, weight_type=QuantType.QInt8)
            measure("onnxruntime_int8", stepper(narrow))
        except Exception as error:
            missing("onnxruntime_int8", error)


main()
