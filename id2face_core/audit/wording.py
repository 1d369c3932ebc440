"""What the report says in plain words, for readers who are responsible and no engineers."""

VERDICTS = {
    "held": "Every limit that could be measured holds.",
    "missed": "At least one limit is missed, or could not be trusted. Do not call these pictures anonymous on this evidence.",
}
LIMITS = (
    "Not recognised by the recognisers that were tried is not unrecognisable: stronger ones exist, people recognise each "
    "other by more than faces, and clothes, places and companions stay in the picture. What was not measured is listed below."
)
TERMS = {
    "Recogniser, judge": "A network that says how alike two faces are. Those here took no part in making the new faces.",
    "Recognised": "The score of two pictures lies above the judge's threshold, which was fixed on real strangers so that one "
    "pair of strangers in a thousand does (FAR 0.001).",
    "3.0 % [0.6, 8.5] of 100": "Three of a hundred; with 95 % certainty the true share lies between 0.6 % and 8.5 %. Few "
    "pictures make wide intervals: 0 of 30 still allows 11.6 %.",
    "Positive control": "The same attack on something that must fall to it. If it finds nothing there, it proves nothing here.",
    "Do nothing, blur, pixelate, grey oval, grey head": "What the same judges see when nothing is done, or when the face, or the "
    "whole head, is covered in simpler ways.",
    "Strangers": "Pictures of two different people; what a judge calls one person there is chance.",
}
STATES = {
    "yes": ("yes", "yes"), "no": ("no", "no"), "invalid": ("not valid", "open"), "not run": ("not measured", "open"),
}  # fmt: skip
QUESTIONS = {
    "A1a": "Somebody has another photograph of a person. Does a recogniser match it with the anonymized picture?",
    "A1b": "Somebody has the very photograph. Does a recogniser match the face in it with the new one?",
    "A1b-": "Does the new face give away more than a grey oval in its place would?",
    "A1c": "Does the new face alone, before it was put into the picture, look like the person?",
    "A2": "Somebody has photographs of everybody who may be in the picture. How often is the right person the best match?",
    "A3": "Perhaps the method pushes the new face away from the person. Does sorting by least similar, or by no similarity, "
    "find the person then, also over many pictures?",
    "A4": "Somebody has learned from labelled anonymized pictures. Does that tell who is in new ones?",
    "A5": "Somebody trains a network to undo the anonymization. Is the person recognised in what it makes?",
    "A6": "Can the identity of the original be computed from that of the new face?",
    "A7": "Does a wrong key, or a guessed one, bring the person back?",
    "A8": "Can two anonymized pictures of one person, made with two keys or none, be linked?",
    "A9": "Are new faces people who were in the training data?",
    "A10": "With one key, does a person get the same new face in every picture, as promised?",
    "A11": "Do two people get one face, so that one is taken for the other?",
    "A12": "Do place, author, thumbnail, file name or a hash of the source ride along in the file?",
    "A13": "Were faces overlooked?",
    "A14": "Are many new faces of one person really different ones?",
    "Adaptive": "The strongest attacker puts everything together: the new face, and the hair, ears and jaw that were kept.",
}
MEANING = {
    "A1b": "“grey oval” and “grey head” show what hair and surroundings give away without any face.",
    "A2": "Age, sex and skin tone are kept on purpose: in a small or mixed gallery they alone find many.",
}
