"""English forms that Snowball leaves apart: `went` and `go`, `bought` and `buy`, `mom` and `mother`."""

from __future__ import annotations

_FORMS = """
arise arose arisen|awake awoke awoken|be was were been|bear bore born borne|beat beaten|become became|begin began begun|bend bent
bind bound|bite bit bitten|bleed bled|blow blew blown|break broke broken|breed bred|bring brought|build built|burn burnt
buy bought|catch caught|choose chose chosen|cling clung|come came|creep crept|deal dealt|dig dug|dive dove|draw drew drawn
dream dreamt|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought|find found
flee fled|fly flew flown|forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven|freeze froze frozen
get got gotten|give gave given|go went gone|grow grew grown|hang hung|hear heard|hide hid hidden|hold held|keep kept
kneel knelt|know knew known|lay laid|lead led|leap leapt|learn learnt|leave left|lend lent|lie lain|light lit|lose lost
make made|mean meant|meet met|overcome overcame|pay paid|prove proven|ride rode ridden|ring rang rung|rise rose risen
run ran|say said|see saw seen|seek sought|sell sold|send sent|sew sewn|shake shook shaken|shine shone|shoot shot
show shown|shrink shrank shrunk|sing sang sung|sink sank sunk|sit sat|sleep slept|slide slid|speak spoke spoken
spell spelt|spend spent|spill spilt|spin spun|spring sprang sprung|stand stood|steal stole stolen|stick stuck|sting stung
strike struck|swear swore sworn|sweep swept|swell swollen|swim swam swum|swing swung|take took taken|teach taught
tear tore torn|tell told|think thought|throw threw thrown|understand understood|wake woke woken|wear wore worn
weave wove woven|weep wept|win won|wind wound|withdraw withdrew withdrawn|write wrote written
child children kid kids|man men|woman women|person people|foot feet|tooth teeth|mouse mice|goose geese|life lives|wife wives
knife knives|leaf leaves|wolf wolves|shelf shelves|half halves
good better best|bad worse worst
mother mom mum mommy mummy|father dad daddy|grandmother grandma granny|grandfather grandpa
photo picture pictures pic pics photos photograph photographs|movie film films movies|tv television|fridge refrigerator
bike bicycle bicycles|phone telephone|doctor dr|vet veterinarian|apartment flat|holiday vacation
"""

BASE_FORMS: dict[str, str] = {
    form: group.split()[0]
    for line in _FORMS.split("\n")
    for group in line.split("|")
    if group.strip()
    for form in group.split()[1:]
}
"""Inflected or alternative form → base form, applied before stemming, to texts and questions alike."""
