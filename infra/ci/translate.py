"""Turns a SAM template into the CloudFormation that AWS would make of it, as JSON."""

import json
import pathlib
import sys

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

source, target = map(pathlib.Path, sys.argv[1:])
template = yaml_parse(source.read_text(encoding="utf-8"))
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        # `sam deploy` puts the uploaded package here; the translator takes no folder.
        resource["Properties"]["CodeUri"] = "s3://packages/function"
# No managed policies: every role is written by hand, so none is looked up.
translator = Translator({}, Parser(), boto_session=boto3.session.Session(region_name="eu-west-1"))
target.write_text(json.dumps(translator.translate(template, {}), indent=1), encoding="utf-8")
