"""What the demo's plans say in German and French."""

from __future__ import annotations

from typing import Any

_SKIP = {
    "de": "Jede Box bis zum Stichtag überspringen",
    "fr": "Sautez n’importe quelle box avant sa date limite",
}
_CAFFEINE = {"de": "Mit oder ohne Koffein", "fr": "Avec ou sans théine"}

#: Code of a plan -> language -> what it says.
PLAN_WORDS: dict[str, dict[str, dict[str, Any]]] = {
    "cup": {
        "de": {
            "name": "Tasse",
            "tagline": "Drei Tees für einen guten Sessel",
            "description": "Drei lose Tees im Monat, genug für etwa dreißig Tassen. Die Box passt "
            "durch den Briefschlitz, niemand muss auf sie warten.",
            "benefits": [
                "3 lose Tees, je 40 g",
                "Eine Karte von jedem Anbauer",
                "Passt durch den Briefschlitz",
                _SKIP["de"],
            ],
        },
        "fr": {
            "name": "Tasse",
            "tagline": "Trois thés pour un bon fauteuil",
            "description": "Trois thés en vrac par mois, de quoi préparer une trentaine de tasses. "
            "La box passe par la fente de la boîte aux lettres : personne n’a à l’attendre.",
            "benefits": [
                "3 thés en vrac de 40 g",
                "Une carte de chaque producteur",
                "Passe par la boîte aux lettres",
                _SKIP["fr"],
            ],
        },
    },
    "pot": {
        "de": {
            "name": "Kanne",
            "tagline": "Vier Tees und etwas zum Eintunken",
            "description": "Vier Tees, die Sie aussuchen, und ein kleines Gebäck aus einer unserer "
            "Backstuben. Mit dieser Box beginnen die meisten, und wir trinken sie selbst.",
            "benefits": [
                "4 lose Tees, je 50 g: Sie wählen, welche",
                "Ein kleines Gebäck aus einer Backstube mit Namen",
                _CAFFEINE["de"],
                _SKIP["de"],
            ],
        },
        "fr": {
            "name": "Théière",
            "tagline": "Quatre thés et de quoi tremper",
            "description": "Quatre thés que vous choisissez et un petit gâteau d’un de nos fours. "
            "C’est par cette box que l’on commence le plus souvent, et celle que nous buvons.",
            "benefits": [
                "4 thés en vrac de 50 g, à votre choix",
                "Un petit gâteau d’un four qui a un nom",
                _CAFFEINE["fr"],
                _SKIP["fr"],
            ],
        },
    },
    "table": {
        "de": {
            "name": "Tafel",
            "tagline": "Sieben Tees, zweimal Gebäck und Menschen darum herum",
            "description": "Sieben Tees und zweimal Gebäck für einen Tisch, der sich sonntags "
            "füllt. In jeder dritten Box liegt ein Stück Geschirr, das seinen Platz verdient.",
            "benefits": [
                "7 lose Tees, je 50 g",
                "2 kleine Gebäcke",
                "Geschirr in jeder dritten Box",
                _CAFFEINE["de"],
                _SKIP["de"],
            ],
        },
        "fr": {
            "name": "Tablée",
            "tagline": "Sept thés, deux gâteaux et du monde autour",
            "description": "Sept thés et deux gâteaux pour une table qui se remplit le dimanche. "
            "Une box sur trois contient une pièce de vaisselle qui mérite sa place.",
            "benefits": [
                "7 thés en vrac de 50 g",
                "2 petits gâteaux",
                "De la vaisselle dans une box sur trois",
                _CAFFEINE["fr"],
                _SKIP["fr"],
            ],
        },
    },
    "cellar": {
        "de": {
            "name": "Keller",
            "tagline": "Ein gereifter Tee und wenige Plätze",
            "description": "Li Wens Pu-Erh, der sechs Jahre im Dunkeln lag. Es gibt eine Handvoll "
            "Plätze, und wer geht, macht Platz für die Nächste auf der Liste.",
            "benefits": [
                "200 g Pu-Erh, den sonst niemand verkauft",
                "In einem Frühling gepflückt und gepresst",
                _SKIP["de"],
            ],
        },
        "fr": {
            "name": "Cave",
            "tagline": "Un thé vieilli et peu de places",
            "description": "Le pu-erh de Li Wen, resté six ans dans l’obscurité. Il y a quelques "
            "places ; qui part fait place à la personne suivante sur la liste.",
            "benefits": [
                "200 g d’un pu-erh que personne d’autre ne vend",
                "Cueilli et pressé en un seul printemps",
                _SKIP["fr"],
            ],
        },
    },
    "office": {
        "de": {
            "name": "Büro",
            "tagline": "Zwei Tees für ein ganzes Stockwerk",
            "description": "Je vier Dosen von zwei Tees für die Küche eines Büros. Für Firmen, die "
            "uns geschrieben haben: Die Box steht nicht auf unserer Liste, und der Code ist zum "
            "Weitergeben.",
            "benefits": [
                "2 lose Tees, je 4 Dosen",
                "Eine Rechnung mit Ihrer USt-IdNr.",
                _SKIP["de"],
            ],
        },
        "fr": {
            "name": "Bureau",
            "tagline": "Deux thés pour tout un étage",
            "description": "Deux thés, quatre boîtes de chacun, pour la cuisine d’un bureau. Pour "
            "les entreprises qui nous ont écrit : la formule n’est pas sur notre liste, et le "
            "code est fait pour circuler chez vous.",
            "benefits": [
                "2 thés en vrac, 4 boîtes de chacun",
                "Une facture avec votre numéro de TVA",
                _SKIP["fr"],
            ],
        },
    },
}

#: Code of the question about caffeine or of an answer to it -> language -> what it says.
CAFFEINE_WORDS: dict[str, dict[str, dict[str, str]]] = {
    "caffeine": {
        "de": {"name": "Koffein", "hint": "Sie können es sich später anders überlegen."},
        "fr": {"name": "Théine", "hint": "Vous pourrez changer d’avis plus tard."},
    },
    "usual": {
        "de": {"name": "Wie gewohnt", "hint": "Was der Monat bringt"},
        "fr": {"name": "Comme d’habitude", "hint": "Ce que le mois apporte"},
    },
    "free": {
        "de": {"name": "Koffeinfrei", "hint": "Kräuter, Rotbusch und geröstetes Getreide"},
        "fr": {"name": "Sans théine", "hint": "Plantes, rooibos et céréales grillées"},
    },
}

#: SKU -> what the product is called in German and in French.
_PRODUCT_NAMES: dict[str, tuple[str, str]] = {
    "TEA-SENCHA": ("Frühlings-Sencha", "Sencha de printemps"),
    "TEA-ASSAM": ("Malziger Assam", "Assam malté"),
    "TEA-DARJEELING": ("Muskateller-Darjeeling", "Darjeeling muscaté"),
    "TEA-OOLONG": ("Eiserner Oolong", "Oolong de fer"),
    "TEA-KUKICHA": ("Gerösteter Kukicha", "Kukicha torréfié"),
    "TEA-PUERH": ("Kleiner Pu-Erh", "Petit pu-erh"),
    "TEA-EARL": ("Bergamotten-Grey", "Grey à la bergamote"),
    "TEA-NILGIRI": ("Frost-Nilgiri", "Nilgiri de givre"),
    "TEA-WHITE": ("Weißer von den Azoren", "Blanc des Açores"),
    "HERB-MINT": ("Gartenpfefferminze", "Menthe poivrée du jardin"),
    "HERB-ROOIBOS": ("Rotbusch aus den Zederbergen", "Rooibos du Cederberg"),
    "HERB-CHAMOMILE": ("Ganze Kamillenblüten", "Camomille entière"),
    "HERB-VERBENA": ("Zitronenverbene", "Verveine citronnée"),
    "HERB-SOBA": ("Gerösteter Buchweizen", "Sarrasin grillé"),
    "HERB-BARLEY": ("Dunkle Gerste", "Orge brune"),
    "HERB-HIBISCUS": ("Roter Hibiskus", "Hibiscus rouge"),
    "BAKE-SHORTBREAD": ("Salziges Mürbegebäck", "Sablés au sel"),
    "BAKE-CANTUCCI": ("Mandel-Cantucci", "Cantucci aux amandes"),
    "BAKE-GINGER": ("Ingwertaler", "Croquants au gingembre"),
    "BAKE-OAT": ("Hafer-Dattel-Schnitten", "Carrés avoine et dattes"),
    "BAKE-MACARON": ("Haselnuss-Makronen", "Macarons aux noisettes"),
    "WARE-CUP": ("Becher mit Daumenmulde", "Tasse à empreinte"),
    "WARE-CADDY": ("Emaildose", "Boîte émaillée"),
    "WARE-BOTTLE": ("Flasche für Kaltaufguss", "Bouteille d’infusion à froid"),
    "WARE-SPOON": ("Teemaß aus Buche", "Dosette en hêtre"),
    "EXTRA-STRAINER": ("Feines Teesieb", "Passoire fine"),
    "EXTRA-HONEY": ("Honigkekse", "Biscuits au miel"),
    "EXTRA-TIN": ("Dose für 100 g", "Boîte pour 100 g"),
}
PRODUCT_WORDS: dict[str, dict[str, dict[str, str]]] = {
    sku: {"de": {"name": german}, "fr": {"name": french}}
    for sku, (german, french) in _PRODUCT_NAMES.items()
}

#: Language -> word for an allergen -> the same in it.
ALLERGEN_WORDS: dict[str, dict[str, str]] = {
    "de": {"dairy": "Milch", "eggs": "Eier", "gluten": "Gluten", "nuts": "Nüsse"},
    "fr": {"dairy": "lait", "eggs": "œufs", "gluten": "gluten", "nuts": "fruits à coque"},
}

#: SKU of an add-on -> language -> the line about it.
ADDON_HINTS: dict[str, dict[str, str]] = {
    "EXTRA-HONEY": {"de": "Zwölf Stück, am Vortag gebacken", "fr": "Douze, cuits la veille"},
    "EXTRA-STRAINER": {
        "de": "Sitzt in jeder Tasse und in den meisten Kannen",
        "fr": "Se pose sur toute tasse et sur la plupart des théières",
    },
    "EXTRA-TIN": {"de": "Hält 100 g trocken", "fr": "Garde 100 g au sec"},
}
