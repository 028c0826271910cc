"""What *Nine Kettles* tells everybody: a page about itself, and what people ask it."""

from __future__ import annotations

#: Address of a page -> language to (title, text).
PAGES: dict[str, dict[str, tuple[str, str]]] = {
    "about-us": {
        "en": (
            "About us",
            (
                "Nine Kettles began with nine people in one kitchen and one good kettle between "
                "them. Today we are still nine, and everybody has their own.\n\n"
                "## What we do\n\n"
                "We buy tea from people we can name, in lots small enough to drink up in a season, "
                "and put it into [boxes](/) at Teeweg 9 in Berlin. Each box holds a card from each "
                "grower.\n\n"
                "## What we do not do\n\n"
                "- no flavours that did not grow somewhere\n"
                "- no plastic in the box: paper, tin and glass alone\n"
                "- no small print: skip a box or cancel whenever you like\n\n"
                "Write to hello@ninekettles.example. One of the nine answers."
            ),
        ),
        "de": (
            "Über uns",
            (
                "Nine Kettles begann mit neun Leuten in einer Küche und einem guten Kessel für "
                "alle. Heute sind wir noch immer neun, und jeder hat seinen eigenen.\n\n"
                "## Was wir tun\n\n"
                "Wir kaufen Tee von Menschen, die wir beim Namen nennen können, so wenig, dass er "
                "in einer Saison getrunken ist, und packen ihn am Teeweg 9 in Berlin in "
                "[Boxen](/). In jeder liegt eine Karte von jeder Pflanzerin und jedem Pflanzer.\n\n"
                "## Was wir nicht tun\n\n"
                "- kein Aroma, das nicht irgendwo gewachsen ist\n"
                "- kein Kunststoff in der Box: nur Papier, Blech und Glas\n"
                "- nichts Kleingedrucktes: Sie lassen eine Box aus oder kündigen, wann Sie "
                "möchten\n\n"
                "Schreiben Sie an hello@ninekettles.example. Eine oder einer von uns neun "
                "antwortet."
            ),
        ),
        "fr": (
            "À propos de nous",
            (
                "Nine Kettles, c’était d’abord neuf personnes dans une cuisine, avec une seule "
                "bonne bouilloire. Nous sommes toujours neuf, et chacun a désormais la sienne.\n\n"
                "## Ce que nous faisons\n\n"
                "Nous achetons du thé à des gens dont nous connaissons le nom, en lots assez "
                "petits pour être bus en une saison, et nous composons les [box](/) au Teeweg 9, à "
                "Berlin. Chacune contient une carte de chaque producteur.\n\n"
                "## Ce que nous ne faisons pas\n\n"
                "- pas d’arôme qui n’ait poussé quelque part\n"
                "- pas de plastique dans la box\u202f: papier, métal et verre seulement\n"
                "- pas de petits caractères\u202f: sautez une box ou résiliez quand vous voulez\n\n"
                "Écrivez à hello@ninekettles.example. L’un de nous neuf vous répond."
            ),
        ),
    },
}

#: Code of the plan ("" is the shop), and language to (question, answer).
QUESTIONS: tuple[tuple[str, dict[str, tuple[str, str]]], ...] = (
    (
        "",
        {
            "en": (
                "How fresh is the tea?",
                (
                    "Of the last harvest. Its month stands on each tin; kept dry and dark it is "
                    "good for a year."
                ),
            ),
            "de": (
                "Wie frisch ist der Tee?",
                (
                    "Aus der letzten Ernte. Der Monat steht auf jeder Dose; trocken und dunkel "
                    "hält er ein Jahr."
                ),
            ),
            "fr": (
                "Le thé est-il frais\u202f?",
                (
                    "Il vient de la dernière récolte. Le mois figure sur chaque boîte\u202f; au "
                    "sec et à l’abri de la lumière, il se garde un an."
                ),
            ),
        },
    ),
    (
        "",
        {
            "en": (
                "What if I cannot eat something?",
                (
                    "Tell us in your account what you do not tolerate. We never pack it and send "
                    "something else instead."
                ),
            ),
            "de": (
                "Was, wenn ich etwas nicht vertrage?",
                (
                    "Sagen Sie uns in Ihrem Konto, was Sie nicht vertragen. Wir packen es nie ein "
                    "und legen etwas anderes bei."
                ),
            ),
            "fr": (
                "Et si je ne tolère pas un aliment\u202f?",
                (
                    "Indiquez-le dans votre compte. Nous ne l’emballons jamais et mettons autre "
                    "chose à la place."
                ),
            ),
        },
    ),
    (
        "",
        {
            "en": (
                "Can I give it as a present?",
                "Yes, for as many boxes as you like. It is paid once and never renews.",
            ),
            "de": (
                "Kann ich es verschenken?",
                (
                    "Ja, so viele Boxen, wie Sie möchten. Sie zahlen einmal, und nichts verlängert "
                    "sich."
                ),
            ),
            "fr": (
                "Puis-je l’offrir\u202f?",
                (
                    "Oui, pour autant de box que vous voulez. Vous payez une fois et rien ne se "
                    "renouvelle."
                ),
            ),
        },
    ),
    (
        "",
        {
            "en": (
                "What if something arrives broken?",
                (
                    "Write to us from your account with the box it was in. We send it again or "
                    "give the money back."
                ),
            ),
            "de": (
                "Was, wenn etwas zerbrochen ankommt?",
                (
                    "Schreiben Sie uns aus Ihrem Konto, zu welcher Box. Wir schicken es noch "
                    "einmal oder erstatten es."
                ),
            ),
            "fr": (
                "Et si quelque chose arrive cassé\u202f?",
                (
                    "Écrivez-nous depuis votre compte en indiquant la box. Nous le renvoyons ou le "
                    "remboursons."
                ),
            ),
        },
    ),
    (
        "table",
        {
            "en": (
                "Is it enough for an office?",
                "For about eight people who drink a pot a day. For more, order it twice.",
            ),
            "de": (
                "Reicht sie für ein Büro?",
                "Für etwa acht Leute und eine Kanne am Tag. Für mehr bestellen Sie sie zweimal.",
            ),
            "fr": (
                "Suffit-elle pour un bureau\u202f?",
                (
                    "Pour environ huit personnes et une théière par jour. Au-delà, commandez-la "
                    "deux fois."
                ),
            ),
        },
    ),
)
