"""Metrics against the libraries that define them, and added up over uneven batches."""

import contextlib
import io
import math

import pytest
import torch
import torch.nn.functional as F
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.linalg import sqrtm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    jaccard_score,
    mean_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    root_mean_squared_error,
    top_k_accuracy_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from dlcoder.templates.catalogue import catalogue
from dlcoder.templates.components.losses.ssim import SSIMLoss
from dlcoder.templates.components.metrics.average_precision import AveragePrecision
from dlcoder.templates.components.metrics.confusion_matrix import ConfusionMatrix, classification_metrics
from dlcoder.templates.components.metrics.frechet_distance import FrechetSums, frechet_distance
from dlcoder.templates.components.metrics.knn_accuracy import KNNAccuracy, knn_accuracy, knn_predict
from dlcoder.templates.components.metrics.linear_probe import LinearProbe, probe_accuracy
from dlcoder.templates.components.metrics.multilabel_f1 import MultiLabelCounts, multilabel_metrics
from dlcoder.templates.components.metrics.perplexity import PerplexitySums, perplexity
from dlcoder.templates.components.metrics.psnr import PSNRSums, psnr
from dlcoder.templates.components.metrics.regression_error import RegressionSums, regression_metrics
from dlcoder.templates.components.metrics.segmentation_iou import SegmentationCounts, segmentation_metrics
from dlcoder.templates.components.metrics.structural_similarity import SSIMSums, structural_similarity
from dlcoder.templates.components.metrics.top_k_accuracy import TopKCounts


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def uneven(*tensors):
    """Split tensors of ten rows into batches of 4, 5 and 1."""
    return zip(*(t.split([4, 5, 1]) for t in tensors), strict=True)


def test_segmentation_metrics_equal_scikit_learn_over_uneven_batches(generator):
    logits = torch.randn(10, 5, 6, 6, generator=generator)
    logits[:, 4] = -9  # class 4 is never predicted, and never there
    target = torch.randint(0, 4, (10, 6, 6), generator=generator)
    target[torch.rand(10, 6, 6, generator=generator) < 0.2] = 255
    metric = SegmentationCounts(5)
    for batch in uneven(logits, target):
        metric.update(*batch)
    valid = target != 255
    iou = jaccard_score(target[valid], logits.argmax(1)[valid], average=None, labels=range(4))
    metrics = segmentation_metrics(metric.counts)
    assert metrics["mean_iou"] == pytest.approx(iou.mean())
    assert metrics["mean_dice"] == pytest.approx((2 * iou / (1 + iou)).mean())
    assert metrics["pixel_accuracy"] == pytest.approx((logits.argmax(1) == target)[valid].float().mean())


def test_a_segmentation_label_that_is_no_class_is_refused():
    metric = SegmentationCounts(3)
    with pytest.raises(RuntimeError):
        metric.update(torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), 7))


def test_nothing_but_ignored_pixels_scores_zero():
    metric = SegmentationCounts(3)
    metric.update(torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), 255))
    assert segmentation_metrics(metric.counts) == {"mean_iou": 0, "mean_dice": 0, "pixel_accuracy": 0}


def test_top_k_accuracy_equals_scikit_learn(generator):
    logits = torch.randn(10, 7, generator=generator)
    target = torch.arange(10) % 7
    metric = TopKCounts((1, 3))
    for batch in uneven(logits, target):
        metric.update(*batch)
    expected = {f"top_{k}": top_k_accuracy_score(target, logits, k=k) for k in (1, 3)}
    assert metric.compute(metric.counts) == pytest.approx(expected)


def test_a_logit_that_is_not_a_number_is_never_right():
    metric = TopKCounts((1,))
    metric.update(torch.full((4, 3), math.nan), torch.arange(4) % 3)
    assert metric.compute(metric.counts) == {"top_1": 0}


def test_perplexity_is_weighed_by_tokens_not_by_batches(generator):
    logits = torch.randn(10, 6, 9, generator=generator)
    target = torch.randint(0, 9, (10, 6), generator=generator)
    target[:4, 1:] = -100
    metric = PerplexitySums()
    for batch in uneven(logits, target):
        metric.update(*batch)
    expected = F.cross_entropy(logits.double().flatten(0, 1), target.flatten()).exp()
    assert perplexity(metric.sums) == pytest.approx(float(expected), rel=1e-6)


def test_psnr_is_the_mean_of_the_images_and_finite_for_a_perfect_one():
    target = torch.zeros(2, 1, 4, 4)
    prediction = target.clone()
    prediction[1] += 0.1
    metric = PSNRSums()
    metric.update(prediction, target)
    assert psnr(metric.sums) == pytest.approx((100 + 20) / 2, rel=1e-5)


def frechet(x, y):
    metric = FrechetSums(x.shape[1])
    for part in x.split(7):
        metric.update(part, y[:0])
    for part in y.split(11):
        metric.update(x[:0], part)
    return frechet_distance(metric.sums)


def test_the_frechet_distance_equals_scipys_matrix_root(generator):
    x = torch.randn(50, 6, generator=generator).double()
    y = (torch.randn(40, 6, generator=generator) * 2 + 1).double()
    root = torch.as_tensor(sqrtm((x.T.cov() @ y.T.cov()).numpy()).real)
    expected = (x.mean(0) - y.mean(0)).square().sum() + (x.T.cov() + y.T.cov() - 2 * root).trace()
    assert frechet(x, y) == pytest.approx(float(expected), rel=1e-8)


def test_a_shift_of_features_costs_its_square_even_without_full_rank(generator):
    few = torch.randn(4, 10, generator=generator).double()
    assert frechet(few, few + 0.5) == pytest.approx(2.5, rel=1e-4)
    assert frechet(few, few) == pytest.approx(0, abs=1e-5)


def test_one_sample_has_no_frechet_distance():
    with pytest.raises(ValueError, match="two samples"):
        frechet(torch.zeros(1, 3), torch.zeros(5, 3))


def test_nearest_neighbors_vote_as_in_scikit_learn(generator):
    train, x = torch.randn(60, 5, generator=generator), torch.randn(30, 5, generator=generator)
    labels = torch.randint(0, 3, (60,), generator=generator)
    reference = KNeighborsClassifier(
        7, metric="cosine", weights=lambda d: torch.exp((1 - torch.as_tensor(d)) / 0.07).numpy()
    )
    expected = reference.fit(train, labels).predict(x)
    assert knn_predict(x, train, labels, num_classes=3, k=7, chunk=8).tolist() == expected.tolist()


def test_classification_metrics_equal_scikit_learn(generator):
    logits = torch.randn(60, 5, generator=generator)
    logits[:, 4] = -9  # class 4 is never predicted, and never there
    target = torch.randint(0, 4, (60,), generator=generator)
    metric = ConfusionMatrix(5)
    metric.update(logits, target)
    predicted = logits.argmax(1)
    assert classification_metrics(metric.counts) == pytest.approx(
        {
            "accuracy": float((predicted == target).double().mean()),
            "balanced_accuracy": balanced_accuracy_score(target, predicted),
            "macro_precision": precision_score(target, predicted, average="macro"),
            "macro_f1": f1_score(target, predicted, average="macro"),
        }
    )


def test_multilabel_metrics_equal_scikit_learn(generator):
    logits = torch.randn(50, 4, generator=generator)
    target = torch.randint(0, 2, (50, 4), generator=generator)
    metric = MultiLabelCounts(4, threshold=0.3)
    metric.update(logits, target)
    predicted = (logits.sigmoid() >= 0.3).long()
    assert multilabel_metrics(metric.counts) == pytest.approx(
        {
            "macro_f1": f1_score(target, predicted, average="macro"),
            "macro_precision": precision_score(target, predicted, average="macro"),
            "macro_recall": recall_score(target, predicted, average="macro"),
            "micro_f1": f1_score(target, predicted, average="micro"),
        }
    )


def test_regression_metrics_equal_scikit_learn_far_from_zero(generator):
    target = torch.randn(40, 3, generator=generator, dtype=torch.float64) + 1000
    prediction = target + torch.randn(40, 3, generator=generator) / 2
    metric = RegressionSums(3)
    metric.update(prediction, target)
    metrics = regression_metrics(metric.sums)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(target, prediction))
    mse = root_mean_squared_error(target, prediction, multioutput="raw_values") ** 2
    assert metrics["rmse"] == pytest.approx(mse.mean() ** 0.5)
    assert metrics["r2"] == pytest.approx(r2_score(target, prediction), rel=1e-6)


def test_ssim_is_the_mean_of_the_images(generator):
    x, y = (torch.rand(3, 2, 16, 14, generator=generator, dtype=torch.float64) for _ in range(2))
    metric = SSIMSums()
    metric.update(x, y)
    each = [1 - SSIMLoss()(x[i : i + 1], y[i : i + 1]) for i in range(3)]
    assert structural_similarity(metric.sums) == pytest.approx(float(torch.stack(each).mean()), abs=1e-12)


def test_the_linear_probe_equals_scikit_learn(generator):
    train, x = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (90, 40))
    labels = (train[:, :3] + torch.randn(90, 3, generator=generator)).argmax(1)
    probe = LinearProbe(train, labels, 3, weight_decay=0.01)
    scaler = StandardScaler().fit(train)
    # scikit-learn weighs the sum of the losses by C, where the penalty is 1 / 2 |W|^2.
    reference = LogisticRegression(C=1 / (0.01 * 90), tol=1e-10, max_iter=5000)
    reference.fit(scaler.transform(train), labels)
    expected = torch.as_tensor(reference.predict_proba(scaler.transform(x)))
    ours = probe.classifier((x - probe.mean) / probe.std).softmax(1)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)
    target = torch.randint(0, 3, (40,), generator=generator)
    probe.update(x, target)
    assert probe_accuracy(probe.counts) == float((expected.argmax(1) == target).double().mean())


def additive(generator):
    """Yield what makes each metric of sums, the name of its sums, what reads them, and ten samples."""

    def rand(*shape):
        return torch.rand(10, *shape, generator=generator)

    def label(high, *shape):
        return torch.randint(0, high, (10, *shape), generator=generator)

    train, classes = rand(4), label(3)
    yield lambda: ConfusionMatrix(3), "counts", classification_metrics, (rand(3), label(3))
    yield lambda: TopKCounts((1, 2)), "counts", TopKCounts((1, 2)).compute, (rand(3), label(3))
    yield lambda: MultiLabelCounts(3, threshold=0.6), "counts", multilabel_metrics, (rand(3), label(2, 3))
    yield lambda: SegmentationCounts(3), "counts", segmentation_metrics, (rand(3, 4, 4), label(3, 4, 4))
    yield lambda: PerplexitySums(), "sums", perplexity, (rand(5, 3), label(3, 5))
    yield lambda: PSNRSums(), "sums", psnr, (rand(3, 4, 4), rand(3, 4, 4))
    yield lambda: SSIMSums(), "sums", structural_similarity, (rand(1, 12, 12), rand(1, 12, 12))
    yield lambda: RegressionSums(2), "sums", regression_metrics, (rand(2), rand(2))
    yield lambda: FrechetSums(3), "sums", frechet_distance, (rand(3), rand(3))
    yield lambda: KNNAccuracy(train, classes, 3, k=3), "counts", knn_accuracy, (rand(4), label(3))
    yield lambda: LinearProbe(train, classes, 3), "counts", probe_accuracy, (rand(4), label(3))


def test_every_metric_is_tried_on_two_ranks(generator):
    """The sums of all but average precision add up; its matches are merged, further down."""
    tried = {type(make()).__name__ for make, *_ in additive(generator)} | {"AveragePrecision"}
    assert tried == {c.symbol for c in catalogue().values() if c.kind == "metrics"}


def test_sums_of_two_ranks_with_uneven_batches_give_the_metric_of_the_whole(generator):
    for make, name, read, samples in additive(generator):
        whole, first, second = make(), make(), make()
        whole.update(*samples)
        one, two, three = uneven(*samples)
        first.update(*one)
        second.update(*two)
        second.update(*three)
        reduced = read(getattr(first, name) + getattr(second, name))
        assert reduced == pytest.approx(read(getattr(whole, name)), rel=1e-12, abs=1e-12), name
        assert getattr(whole, name).dtype in (torch.int64, torch.float64)


def scenes(generator, images):
    """Yield random detections and true boxes of images, some of them crowds."""

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    for _ in range(images):
        m, n = int(rand(1) * 6), int(rand(1) * 10)
        corner, stray = rand(m, 2) * 100, rand(n, 2) * 100
        true = torch.cat([corner, corner + 5 + rand(m, 2) * 60], 1)
        boxes = torch.cat([true + (rand(m, 4) - 0.5) * 12, torch.cat([stray, stray + 5 + rand(n, 2) * 60], 1)])
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        true_labels = (rand(m) * 3).long() + 1
        labels = torch.cat([true_labels, (rand(n) * 3).long() + 1])
        yield boxes, rand(m + n), labels, true, true_labels, rand(m) < 0.15


def coco_stats(data):
    def xywh(box):
        x1, y1, x2, y2 = box.double().tolist()
        return [x1, y1, x2 - x1, y2 - y1]

    truth, found = [], []
    for image, (boxes, scores, labels, true, true_labels, crowd) in enumerate(data):
        for box, label, many in zip(true, true_labels.tolist(), crowd.tolist(), strict=True):
            x, y, w, h = xywh(box)
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(many),
                }
            )
        for box, score, label in zip(boxes, scores.tolist(), labels.tolist(), strict=True):
            found.append({"image_id": image, "category_id": label, "bbox": xywh(box), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(data))],
            "annotations": truth,
            "categories": [{"id": i} for i in (1, 2, 3)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3]


@pytest.mark.parametrize("seed", range(8))
def test_average_precision_equals_pycocotools_with_crowds_and_over_two_ranks(seed):
    data = list(scenes(torch.Generator().manual_seed(seed), 12))
    ranks = AveragePrecision(), AveragePrecision()
    for index, scene in enumerate(data):
        ranks[index >= 5].update(*scene)
    ranks[0].merge(ranks[1])
    assert list(ranks[0].compute().values()) == pytest.approx(coco_stats(data).tolist(), abs=1e-12)


def test_without_boxes_average_precision_is_not_a_number():
    assert all(math.isnan(v) for v in AveragePrecision().compute().values())
