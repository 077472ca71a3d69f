"""Which posterior, prior and objective train together, and who refuses whom.

`refusal` is the table. It is read off the mathematics and not off the models: whatever it
does not refuse must train, so a model that refuses too much fails in test_combinations.
"""

from kvae.objectives import ELBO, Wrapper


def prices_a_rate(objective):
    """Whether an objective takes an ELBO's rate; the others make their own of draws."""
    return issubclass(objective.cls, ELBO | Wrapper)


def densities_refused(posterior, prior):
    """The pattern of the message that refuses a posterior and a prior; None if they fit."""
    q, p = posterior.cls.__name__, prior.cls.__name__
    if posterior.space != prior.space:
        return f"{q} draws latents from .* and {p} is a density on .* no KL divergence"
    if posterior.partners.get("prior", (prior.cls,))[0] is not prior.cls:
        return f"{q} with .* needs the prior priors.Hierarchical"
    return None


def refusal(posterior, prior, objective, rate):
    """The pattern of the message that refuses a combination; None if it must train."""
    if pattern := densities_refused(posterior, prior):
        return pattern
    q, p, o = (part.cls.__name__ for part in (posterior, prior, objective))
    if o == "Completion" and p == "VampPrior":
        return "VampPrior has pseudo-examples but no pseudo-conditions"
    if o == "Completion" and "decoder" in posterior.partners | prior.partners:
        return "Completion needs a model whose .* takes the visible part"
    closed_form = posterior.exact_kl and prior.exact_kl
    if prices_a_rate(objective) and rate == "exact" and not closed_form:
        return rf'KL\({q} \|\| {p}\) has no closed form. Use ELBO\(kl="sampled"\)'
    if o == "LevelBalance" and q != "TopDownMaps":
        return "LevelBalance over levels needs a posterior with levels"
    if o == "BetaTC" and not posterior.independent:
        return f"BetaTC needs .* independent given x. Those of {q}"
    if o == "FreeBits" and not (posterior.independent and prior.independent):
        culprit = p if posterior.independent else q
        return rf"FreeBits.* needs a density that is a product .*\. {culprit}"
    return None
