{{/* Names are fixed: a second installation of the same reach is refused by helm, instead of fighting the first. */}}
{{- define "muster.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "muster.selector" . }}
{{- end }}

{{- define "muster.selector" -}}
app.kubernetes.io/name: muster
app.kubernetes.io/component: operator
{{- end }}

{{- define "muster.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Of what belongs to the cluster. Installations for one namespace each have their own. */}}
{{- define "muster.clusterName" -}}
{{- if .Values.watchNamespace -}}muster-{{ .Values.watchNamespace }}{{- else -}}muster{{- end -}}
{{- end }}

{{- define "muster.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ .Values.serviceAccount.name }}
{{- end }}
