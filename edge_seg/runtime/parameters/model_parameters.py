"""Parameters of the model flow: what a new model must pass, and what stays loaded."""

from edge_seg.runtime.parameters.parameter_spec import ParameterSpec

MODEL_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        'require_signature',
        'bool',
        False,
        'Refuse models that are unsigned, or signed by a key that is not trusted here',
    ),
    ParameterSpec(
        'trusted_keys',
        'string_array',
        (),
        'Ed25519 public keys (PEM files, or folders of them) whose signatures are trusted',
    ),
    ParameterSpec(
        'hmac_secret_file',
        'string',
        '',
        "File with the secret of a site that signs with HMAC-SHA256; '' = none",
    ),
    ParameterSpec(
        'cache_limit_mb',
        'int',
        2048,
        'Compiled models that were not used for longest are removed above this size',
        'MB',
        1,
        1_000_000,
    ),
    ParameterSpec(
        'swap',
        'string',
        'overlap',
        'How a model is replaced: overlap loads the new one beside the old one, without a gap; '
        'exclusive unloads first, for machines that cannot hold both',
        choices=('overlap', 'exclusive'),
    ),
    ParameterSpec(
        'keep_previous',
        'bool',
        True,
        'Keep the previous model loaded after probation: ~/rollback then takes no time',
    ),
    ParameterSpec(
        'probation_frames',
        'int',
        60,
        'Frames on which a new model must prove itself; 0 = no probation',
        '',
        0,
        100_000,
    ),
    ParameterSpec(
        'probation_s', 'float', 5.0, 'Longest probation, when frames are rare', 's', 0.1, 86400.0
    ),
    ParameterSpec(
        'max_error_share',
        'float',
        0.1,
        'Share of frames on probation that may fail',
        '',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'latency_budget_ms',
        'float',
        0.0,
        'Median time that segmenting a frame may take on probation; 0 = off',
        'ms',
        0.0,
        60_000.0,
    ),
    ParameterSpec(
        'shadow_every',
        'int',
        10,
        'On probation every n-th frame also runs through the previous model; 0 = off',
        '',
        0,
        100_000,
    ),
    ParameterSpec(
        'min_agreement',
        'float',
        0.3,
        'Mean IoU with the previous model that a new one with the same classes must reach',
        '',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'max_one_class_share',
        'float',
        0.5,
        'Share of shadow frames on which the new model may see one class only while the previous '
        'one sees several',
        '',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'watch_store_s',
        'float',
        0.0,
        'Time between two looks whether the requested name means another version now; 0 = off',
        's',
        0.0,
        86400.0,
    ),
    ParameterSpec(
        'keep_warm_s',
        'float',
        0.0,
        'Run the model on a blank image after so long without a frame, as devices clock down; '
        '0 = never',
        's',
        0.0,
        86400.0,
    ),
)
